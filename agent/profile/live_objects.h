/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live objects: sampled addresses that are allocated, each with its heap bucket.
 *
 * A slot has 8 bytes: 48 bits of address, 16 of bucket. There are 32 hash tables, chosen by hash;
 * each is at most 7/8 full and grows by half its size, so that no step moves more than 47,800
 * objects (about 1 ms). PA_LIVE_OBJECTS_BYTES holds 2,293,760 objects if the tables are even; while
 * it grows, an object costs 9 to 14 bytes.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES. When full: PA_LIVE_OBJECTS_FULL.
 */
#ifndef PA_LIVE_OBJECTS_H
#define PA_LIVE_OBJECTS_H

#include "../base/base.h"

#define PA_LIVE_OBJECTS_BYTES ((size_t)20 << 20)
#define PA_LIVE_OBJECTS_BUCKETS (64 * 1024)

enum pa_live_objects_put {
	PA_LIVE_OBJECTS_ADDED,
	PA_LIVE_OBJECTS_REPLACED, /* the address was live: *old is its former bucket */
	PA_LIVE_OBJECTS_FULL      /* not stored */
};

/* object must not be 0; bucket < PA_LIVE_OBJECTS_BUCKETS. */
PA_AGENT enum pa_live_objects_put pa_live_objects_put_locked(uintptr_t object, uint32_t bucket,
	uint32_t *old);

/* Removes the object; *bucket: its bucket. False: it is not live. */
PA_AGENT bool pa_live_objects_take_locked(uintptr_t object, uint32_t *bucket);

PA_AGENT bool pa_live_objects_has(uintptr_t object);

/* Removes all objects with an odd address (record/inner_alloc.h); calls removed with the bucket of
 * each. */
PA_AGENT void pa_live_objects_drop_marked_locked(void (*removed)(uint32_t bucket));

struct pa_live_objects_stats {
	size_t objects;
	size_t bytes; /* mapped */
};
PA_AGENT struct pa_live_objects_stats pa_live_objects_stats(void);

/* In a forked child whose tables may be inconsistent: empties them; the old memory leaks. */
PA_BOOT void pa_live_objects_abandon(void);

#endif

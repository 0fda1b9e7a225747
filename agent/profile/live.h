/*
 * Live objects: which sampled addresses are allocated now, and to which heap bucket each belongs.
 *
 * A slot is 12 bytes: 64 bits of address, 32 of bucket. The table is cut into 32 shards by hash;
 * each is open addressing with linear probing, at most 7/8 full, and grows alone by half its size,
 * so that no single step takes longer than moving 33,450 objects (about 1 ms). Deleting closes the
 * gap, there are no tombstones. PA_LIVE_BYTES holds 1,070,432 objects when the shards are even;
 * while it grows an object costs 14 to 21 bytes.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES.
 */
#ifndef PA_LIVE_H
#define PA_LIVE_H

#include "../base/base.h"

#define PA_LIVE_BYTES ((size_t)14 << 20)

enum pa_live_put {
	PA_LIVE_ADDED,
	PA_LIVE_REPLACED, /* the address was live already: *old is the bucket it was in */
	PA_LIVE_FULL      /* not stored */
};

/* object is not 0. */
PA_AGENT enum pa_live_put pa_live_put(uintptr_t object, uint32_t bucket, uint32_t *old);

/* False when the object is not live; else *bucket is its bucket, and it is live no more. */
PA_AGENT bool pa_live_take(uintptr_t object, uint32_t *bucket);

PA_AGENT bool pa_live_has(uintptr_t object);

struct pa_live_stats {
	size_t objects;
	size_t bytes; /* mapped */
};
PA_AGENT struct pa_live_stats pa_live_stats(void);

/* In a forked child whose tables may be half changed: empty; the old memory is lost. */
PA_BOOT void pa_live_abandon(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heap profile: allocations by stack, total and in use.
 *
 * Buckets are keyed by (stack, object size) as in Go, which keeps the scaling unbiased, and by
 * classes of sizes where these are very many (size_classes.h). Values are unscaled: each event
 * counts once.
 *
 * At rate 1 the hooks count the allocations of most buckets (record/alloc_counts.h); what they
 * counted is added when it is wanted.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES. Memory: PA_HEAP_BUCKETS buckets of
 * 40 bytes with their hash heads, and PA_LIVE_OBJECTS_BYTES. When full: an allocation without a
 * bucket is counted in dropped_objects and dropped_bytes; one whose address cannot be stored counts
 * as allocated by its stack, and in live_dropped. What neither of them keeps, and what the ring
 * lost, is in use until frees of unknown objects have come for it: objects exactly, bytes by their
 * mean. It is in the sample of the losses.
 */
#ifndef PA_HEAP_H
#define PA_HEAP_H

#include "live_objects.h"
#include "snapshot.h"

#define PA_HEAP_BUCKETS PA_LIVE_OBJECTS_BUCKETS

/* Both show the same buckets. */
extern const struct pa_profile_ops pa_heap_profile PA_HIDDEN, pa_allocs_profile PA_HIDDEN;

/* Records an allocation of size (< PA_ADDRESS_LIMIT) at object; 0: the hooks could not keep it, and
 * its free will not come. If an object is live at that address, its free was lost: it is counted as
 * freed, and in frees_missed. Returns the bucket; PA_BUCKET_TABLE_NONE: dropped. */
PA_AGENT uint32_t pa_heap_alloc_locked(const struct pa_stack *stack, uint64_t size,
	uintptr_t object);

/* Records a free. If the object is not known, it is one of those that were not kept, and is counted
 * in frees_unknown when there are none. */
PA_AGENT void pa_heap_free_locked(uintptr_t object);

/* Undoes the last pa_heap_free_locked of this address: a realloc failed. Works for the last 64
 * frees; counted in revives_unknown otherwise. */
PA_AGENT void pa_heap_revive_locked(uintptr_t object);

/* on: objects with PA_INNER_ALLOC_MARK are in use until they are freed; off: they are only counted
 * as allocated, since their frees are not seen. Those in use so far are forgotten. Any agent
 * thread. */
PA_AGENT void pa_heap_hooked(bool on);

/* A module is gone: its pcs may be in another one from now on. */
PA_AGENT void pa_heap_module_forgotten(void);

/* Number of buckets. */
PA_API size_t pa_heap_count(void);

/* Writes the buckets to out, in order of first appearance; at most pa_heap_count().
 * Returns their number. */
PA_AGENT size_t pa_heap_samples(struct pa_sample *out);

struct pa_heap_stats {
	uint64_t objects, bytes; /* allocated so far, including dropped ones */
	uint64_t dropped_objects, dropped_bytes;
	uint64_t live_dropped;
	uint64_t unkept_objects, unkept_bytes; /* not kept here by lack of room, so far */
	uint64_t unkept_freed;                 /* of these */
	uint64_t live_objects, live_bytes;     /* in use */
	uint64_t live_estimate_bytes;          /* live_bytes scaled, each object by its own size */
	uint64_t frees_unknown;
	uint64_t frees_missed;
	uint64_t revives_unknown;
	size_t table_bytes; /* buckets and live objects */
};
/* Under PA_LOCK_TABLES at rate 1. */
PA_AGENT struct pa_heap_stats pa_heap_stats_locked(void);

/* In a forked child whose tables may be inconsistent: empties them; the old memory leaks. */
PA_BOOT void pa_heap_abandon(void);

#endif

/*
 * The heap profile: what was allocated where, and what of it is still in use.
 *
 * Buckets are keyed by (stack, object size) as in Go, which keeps the scaling of samples unbiased.
 * Values are unscaled: each event counts once.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES. Memory: PA_HEAP_BUCKETS buckets of
 * 40 bytes and their hash heads, and PA_LIVE_BYTES.
 * When full: an allocation without a bucket is counted in dropped_objects and dropped_bytes; one
 * whose address cannot be kept counts as allocated but not as in use, and in live_dropped.
 */
#ifndef PA_HEAP_H
#define PA_HEAP_H

#include "snapshot.h"

#define PA_HEAP_BUCKETS (64 * 1024)

/*
 * An object of that size (< PA_ADDRESS_LIMIT) was allocated at that address (not 0). When an object
 * is live there already, its free was lost: it is taken for freed and counted in frees_missed.
 */
PA_AGENT void pa_heap_alloc(const struct pa_stack *stack, uint64_t size, uintptr_t object);

/* The object is freed. Counted in frees_unknown when its allocation is not known. */
PA_AGENT void pa_heap_free(uintptr_t object);

/*
 * The last pa_heap_free of this address did not happen. Remembered of the last 64 frees; counted in
 * revives_unknown when it is none of them.
 */
PA_AGENT void pa_heap_revive(uintptr_t object);

/* Number of buckets. */
PA_AGENT size_t pa_heap_count(void);

/* Writes the buckets that are not all zero to out, in order of first appearance; at most
 * pa_heap_count() of them. Returns how many. */
PA_AGENT size_t pa_heap_samples(struct pa_sample *out);

struct pa_heap_stats {
	uint64_t objects, bytes;         /* allocated so far, dropped ones included */
	uint64_t dropped_objects, dropped_bytes;
	uint64_t live_dropped;
	uint64_t live_bytes;             /* in use; their number is pa_live_stats().objects */
	uint64_t live_estimate_bytes;    /* what they stand for: each scaled by its own size */
	uint64_t frees_unknown;
	uint64_t frees_missed;
	uint64_t revives_unknown;
	size_t table_bytes;              /* buckets and live objects */
};
PA_AGENT struct pa_heap_stats pa_heap_stats(void);

/* In a forked child whose tables may be half changed: empty; the old memory is lost. */
PA_BOOT void pa_heap_abandon(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts of allocations whose stack and size the collector knows already. At rate 1 nearly all are:
 * the hook finds their number here and counts, and no event goes through the ring.
 *
 * The collector publishes a number with the key of a stack and a size after it has handled an event
 * of them. A key is made of the pcs, the size and the epoch of the frame cache, so that after a
 * dlclose no older one is found. The numbers are those of the collector's buckets + 1; hooks keep
 * the number of each object in their set of addresses (alloc.c), for its free.
 *
 * Context: as marked. No lock: the collector is the only writer of keys; counts are atomic.
 * Full: a publication overwrites another key, whose allocations are events until it is published
 * again.
 */
#ifndef PA_ALLOC_COUNTS_H
#define PA_ALLOC_COUNTS_H

#include "../base/base.h"

#define PA_ALLOC_COUNTS_NUMBERS (64u * 1024 - 2) /* 1 .. */
#define PA_ALLOC_COUNTS_DEPTH 128                /* deeper stacks have no key */

struct pa_alloc_counts;

/* Maps the memory, most of which is touched as needed. NULL: none. */
PA_BOOT struct pa_alloc_counts *pa_alloc_counts_create(void);

/* Bytes of it, touched or not. */
PA_SIGNAL size_t pa_alloc_counts_bytes(void);

struct pa_alloc_counts_key {
	uint64_t hash, check;
};

/* cut: the stack has more frames than these. */
PA_SIGNAL struct pa_alloc_counts_key pa_alloc_counts_key(const struct pa_alloc_counts *counts,
	const uintptr_t *pcs, uint32_t depth, bool cut, size_t bytes, uint32_t epoch);

/* The number of the key; 0: unknown. At most 1 cache miss. */
PA_SIGNAL uint32_t pa_alloc_counts_find(const struct pa_alloc_counts *counts,
	struct pa_alloc_counts_key key);

/* Begins to load what pa_alloc_counts_find looks at. */
PA_SIGNAL void pa_alloc_counts_prefetch(const struct pa_alloc_counts *counts,
	struct pa_alloc_counts_key key);

/* Count an object of that number; its allocation comes first. */
PA_SIGNAL void pa_alloc_counts_made(struct pa_alloc_counts *counts, uint32_t number);
PA_SIGNAL void pa_alloc_counts_freed(struct pa_alloc_counts *counts, uint32_t number);
/* Undoes _freed. */
PA_SIGNAL void pa_alloc_counts_revived(struct pa_alloc_counts *counts, uint32_t number);
/* An object was freed without a call of the hook, and its address came again. */
PA_SIGNAL void pa_alloc_counts_missed(struct pa_alloc_counts *counts, uint32_t number);

PA_AGENT void pa_alloc_counts_publish(struct pa_alloc_counts *counts,
	struct pa_alloc_counts_key key, uint32_t number);

/* Forgets all keys. Numbers of objects stay valid. */
PA_SIGNAL void pa_alloc_counts_forget_keys(struct pa_alloc_counts *counts);

/* Since the last call. freed may be negative, after a revival. */
struct pa_alloc_counts_taken {
	int64_t made, freed;
};
PA_AGENT struct pa_alloc_counts_taken pa_alloc_counts_take(struct pa_alloc_counts *counts,
	uint32_t number);
PA_AGENT uint64_t pa_alloc_counts_take_missed(struct pa_alloc_counts *counts);

/* In a forked child whose collector has lost its buckets: no key, no counts. */
PA_BOOT void pa_alloc_counts_abandon(struct pa_alloc_counts *counts);

#endif

/*
 * A table of counts by (stack, key): the buckets of the heap profile and the records of all others.
 *
 * Records have an index that stays theirs, in order of first appearance. 40 bytes a record in
 * chunks, and 4 to 8 bytes of hash heads; memory comes from pa_map as the table grows.
 *
 * Context: PA_AGENT, the collector only writes; the owner's lock guards all others.
 * When full (max records, or no memory): PA_TALLY_NONE; the caller counts what it drops.
 */
#ifndef PA_TALLY_H
#define PA_TALLY_H

#include "../base/base.h"
#include "sites.h"

struct pa_tally {
	const struct pa_stack *stack;
	uint64_t key;
	/* Of the owner: */
	uint64_t count;  /* objects allocated, ticks, ns waited, threads created */
	double weight;   /* contentions */
	uint32_t in_use; /* objects not freed yet */
	/* Of the table: */
	uint32_t next;   /* in the chain of one head: index + 1, 0 = the last */
};

_Static_assert(sizeof(struct pa_tally) == 40, "a chunk is 20 pages");

#define PA_TALLY_NONE UINT32_MAX
#define PA_TALLY_CHUNK 2048 /* records */
#define PA_TALLY_CHUNKS 128
#define PA_TALLY_LIMIT (PA_TALLY_CHUNK * PA_TALLY_CHUNKS)

struct pa_tally_table {
	uint32_t max;        /* records, at most PA_TALLY_LIMIT; set by the owner */
	uint32_t count;
	uint32_t head_count; /* power of two, 0 before the first record */
	uint32_t *heads;     /* index + 1 of the first record, 0 = none */
	struct pa_tally *chunks[PA_TALLY_CHUNKS];
	size_t bytes;        /* mapped */
};

/* The record of (stack, key), made with zero counts when it is new. */
PA_AGENT uint32_t pa_tally_index(struct pa_tally_table *table, const struct pa_stack *stack,
	uint64_t key);

/* The record of an index that pa_tally_index gave; its owner changes the fields of the owner. */
PA_INLINE struct pa_tally *pa_tally_at(const struct pa_tally_table *table, uint32_t index)
{
	return &table->chunks[index / PA_TALLY_CHUNK][index % PA_TALLY_CHUNK];
}

/* The sum, the largest value when it is more. */
PA_INLINE uint64_t pa_tally_plus(uint64_t sum, uint64_t more)
{
	return __builtin_add_overflow(sum, more, &sum) ? UINT64_MAX : sum;
}

/* count * factor for a profile, the largest value when it is more. */
PA_INLINE int64_t pa_tally_times(uint64_t count, uint64_t factor)
{
	int64_t product;
	return __builtin_mul_overflow(count, factor, &product) ? INT64_MAX : product;
}

/* Empties the table and gives its memory back. */
PA_AGENT void pa_tally_free(struct pa_tally_table *table);

/* In a forked child that may have copied the table half changed: empties it without touching its
 * memory, which is lost. */
PA_BOOT void pa_tally_abandon(struct pa_tally_table *table);

#endif

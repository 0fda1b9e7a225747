/*
 * A table of counts by (stack, key): the buckets of the heap profile and the records of the CPU
 * profile.
 *
 * Records have an index that stays theirs, in order of first appearance. 32 bytes a record in
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
	uint64_t count;  /* of the owner: objects allocated, ticks */
	uint32_t in_use; /* of the owner: objects not freed yet */
	uint32_t next;   /* in the chain of one head: index + 1, 0 = the last */
};

_Static_assert(sizeof(struct pa_tally) == 32, "two to a cache line");

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

/* The record of an index that pa_tally_index gave; its owner changes count and in_use. */
PA_INLINE struct pa_tally *pa_tally_at(const struct pa_tally_table *table, uint32_t index)
{
	return &table->chunks[index / PA_TALLY_CHUNK][index % PA_TALLY_CHUNK];
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts by (stack, key): the buckets of the heap profile and the records of the other profiles.
 *
 * Each record keeps its index, in order of first appearance. Memory: 40 bytes per record in chunks,
 * plus 5 to 8 bytes of hash slots, from pa_map as the table grows.
 *
 * Context: PA_AGENT. Only the collector writes; readers hold the owner's lock. When full (max
 * records, or no memory): PA_BUCKET_TABLE_NONE; the caller counts the loss.
 */
#ifndef PA_BUCKET_TABLE_H
#define PA_BUCKET_TABLE_H

#include "../base/assert.h"
#include "../base/base.h"
#include "../base/hash_table.h"
#include "../stacks/stack_table.h"

struct pa_bucket {
	const struct pa_stack *stack;
	uint64_t key;
	/* Fields of the owner: */
	uint64_t count;  /* objects allocated, ticks, ns waited, threads created */
	double weight;   /* contentions; bytes allocated in a class of sizes */
	uint32_t in_use; /* objects not freed */
};

_Static_assert(sizeof(struct pa_bucket) == 40, "a chunk is 20 pages");

#define PA_BUCKET_TABLE_NONE UINT32_MAX
#define PA_BUCKET_TABLE_CHUNK 2048 /* records */
#define PA_BUCKET_TABLE_CHUNKS 128
#define PA_BUCKET_TABLE_LIMIT (PA_BUCKET_TABLE_CHUNK * PA_BUCKET_TABLE_CHUNKS)

struct pa_bucket_table {
	uint32_t max; /* records, at most PA_BUCKET_TABLE_LIMIT; set by the owner */
	uint32_t count;
	struct pa_hash_table slots; /* of indices */
	struct pa_bucket *chunks[PA_BUCKET_TABLE_CHUNKS];
	size_t bytes; /* mapped */
};

/* Index of the record of (stack, key); a new record has zero counts. */
PA_AGENT uint32_t pa_bucket_table_index(struct pa_bucket_table *table, const struct pa_stack *stack,
	uint64_t key);

/* The same; PA_BUCKET_TABLE_NONE: there is no such record. */
PA_AGENT uint32_t pa_bucket_table_find(const struct pa_bucket_table *table,
	const struct pa_stack *stack, uint64_t key);

/* Record of an index returned by pa_bucket_table_index. The owner may change the owner's fields. */
PA_INLINE struct pa_bucket *pa_bucket_table_at(const struct pa_bucket_table *table, uint32_t index)
{
	PA_ASSERT(index < table->count);
	return &table->chunks[index / PA_BUCKET_TABLE_CHUNK][index % PA_BUCKET_TABLE_CHUNK];
}

/* Saturating sum. */
PA_INLINE uint64_t pa_bucket_table_plus(uint64_t sum, uint64_t more)
{
	return __builtin_add_overflow(sum, more, &sum) ? UINT64_MAX : sum;
}

/* Saturating product count * factor, for profiles. */
PA_INLINE int64_t pa_bucket_table_times(uint64_t count, uint64_t factor)
{
	int64_t product;
	return __builtin_mul_overflow(count, factor, &product) ? INT64_MAX : product;
}

/* Empties the table and frees its memory. */
PA_APP void pa_bucket_table_free(struct pa_bucket_table *table);

/* In a forked child whose copy of the table may be inconsistent: empties it without accessing its
 * memory, which leaks. */
PA_APP void pa_bucket_table_abandon(struct pa_bucket_table *table);

#endif

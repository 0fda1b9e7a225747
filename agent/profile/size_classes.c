/* SPDX-License-Identifier: Apache-2.0 */
#include "size_classes.h"

#include "../base/assert.h"

/* In a key: the other bits are the largest size of a class. */
#define CLASS_BIT ((uint64_t)1 << 63)

_Static_assert(PA_ADDRESS_LIMIT < CLASS_BIT, "no size has the bit");

bool pa_size_classes_used(const struct pa_bucket_table *table)
{
	return table->count >= table->max / 2;
}

/* Logarithm of the number of classes for each doubling of the size. */
static unsigned classes_log2(const struct pa_bucket_table *table)
{
	uint32_t sixteenth = table->max / 16;
	if (table->count >= 15 * sixteenth)
		return 0;
	return table->count >= 12 * sixteenth ? 1 : 3;
}

static uint64_t class_of(uint64_t size, unsigned log2)
{
	unsigned doublings = size ? 63 - (unsigned)__builtin_clzll(size) : 0;
	return doublings > log2 ? PA_ALIGN_UP(size, (uint64_t)1 << (doublings - log2)) : size;
}

static uint32_t find_bucket(struct pa_bucket_table *table, const struct pa_stack *stack,
	uint64_t size)
{
	if (!pa_size_classes_used(table))
		return pa_bucket_table_index(table, stack, size);
	uint32_t index = pa_bucket_table_find(table, stack, size);
	if (index != PA_BUCKET_TABLE_NONE)
		return index;
	return pa_bucket_table_index(table, stack, CLASS_BIT | class_of(size, classes_log2(table)));
}

uint32_t pa_size_classes_count(struct pa_bucket_table *table, const struct pa_stack *stack,
	uint64_t size)
{
	PA_ASSERT(size < PA_ADDRESS_LIMIT);
	uint32_t index = find_bucket(table, stack, size);
	if (index == PA_BUCKET_TABLE_NONE)
		return index;
	struct pa_bucket *bucket = pa_bucket_table_at(table, index);
	bucket->count++;
	if (pa_size_classes_is_class(bucket))
		bucket->weight += (double)size;
	return index;
}

bool pa_size_classes_is_class(const struct pa_bucket *bucket)
{
	return bucket->key & CLASS_BIT;
}

uint64_t pa_size_classes_size(const struct pa_bucket *bucket)
{
	return bucket->key & ~CLASS_BIT;
}

void pa_size_classes_values(const struct pa_bucket *bucket, int64_t values[4])
{
	PA_ASSERT(bucket->count && bucket->in_use <= bucket->count);
	values[0] = (int64_t)bucket->count;
	values[1] = pa_bucket_table_times(bucket->count, bucket->key);
	values[2] = bucket->in_use;
	values[3] = pa_bucket_table_times(bucket->in_use, bucket->key);
	if (!pa_size_classes_is_class(bucket))
		return;
	values[1] = (int64_t)bucket->weight;
	values[3] = (int64_t)(bucket->weight * bucket->in_use / (double)bucket->count);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bucket_table.h"

#include "../base/assert.h"

#define FIRST_SLOTS 1024
#define CHUNK_BYTES (PA_BUCKET_TABLE_CHUNK * sizeof(struct pa_bucket))

_Static_assert(PA_BUCKET_TABLE_LIMIT < PA_HASH_TABLE_NUMBERS, "an index is a number of a slot");

struct wanted {
	const struct pa_stack *stack;
	uint64_t key, hash;
};

static uint64_t hash_of_bucket(const struct pa_stack *stack, uint64_t key)
{
	return pa_hash_table_mix(pa_hash_table_mix(0, (uintptr_t)stack >> 4), key);
}

static const struct pa_bucket *bucket_of_slot(const struct pa_hash_table *slots, const void *slot)
{
	const char *table = (const char *)slots - offsetof(struct pa_bucket_table, slots);
	return pa_bucket_table_at((const struct pa_bucket_table *)table,
		pa_hash_table_number(*(const uint32_t *)slot));
}

PA_INLINE bool is_wanted_bucket(const struct pa_hash_table *slots, const void *slot,
	const void *key)
{
	const struct wanted *wanted = key;
	if (!pa_hash_table_tag_fits(*(const uint32_t *)slot, wanted->hash))
		return false;
	const struct pa_bucket *bucket = bucket_of_slot(slots, slot);
	return bucket->stack == wanted->stack && bucket->key == wanted->key;
}

static uint64_t hash_of_bucket_slot(const struct pa_hash_table *slots, const void *slot)
{
	const struct pa_bucket *bucket = bucket_of_slot(slots, slot);
	return hash_of_bucket(bucket->stack, bucket->key);
}

static const struct pa_hash_table_kind bucket_kind = {
	.slot_bytes = sizeof(uint32_t),
	.has_key = is_wanted_bucket,
	.hash = hash_of_bucket_slot,
};

static bool has_bucket_room(struct pa_bucket_table *table)
{
	if (table->count >= table->max || table->count >= PA_BUCKET_TABLE_LIMIT)
		return false;
	table->bytes -= table->slots.capacity * bucket_kind.slot_bytes;
	bool has_slot = pa_hash_table_grow(&bucket_kind, &table->slots, FIRST_SLOTS);
	table->bytes += table->slots.capacity * bucket_kind.slot_bytes;
	struct pa_bucket **chunk = &table->chunks[table->count / PA_BUCKET_TABLE_CHUNK];
	if (has_slot && !*chunk && (*chunk = pa_map(CHUNK_BYTES)))
		table->bytes += CHUNK_BYTES;
	return has_slot && *chunk;
}

static PA_NOINLINE uint32_t add_bucket(struct pa_bucket_table *table, const struct pa_stack *stack,
	uint64_t key)
{
	if (!has_bucket_room(table))
		return PA_BUCKET_TABLE_NONE;
	uint32_t index = table->count++;
	PA_ASSERT(index < table->max && index < PA_BUCKET_TABLE_LIMIT);
	uint64_t hash = hash_of_bucket(stack, key);
	*pa_bucket_table_at(table, index) = (struct pa_bucket){ .stack = stack, .key = key };
	*(uint32_t *)pa_hash_table_add(&bucket_kind, &table->slots, hash) =
		pa_hash_table_tagged(hash, index);
	return index;
}

uint32_t pa_bucket_table_find(const struct pa_bucket_table *table, const struct pa_stack *stack,
	uint64_t key)
{
	if (!table->count)
		return PA_BUCKET_TABLE_NONE;
	const struct wanted wanted = { stack, key, hash_of_bucket(stack, key) };
	uint32_t i = pa_hash_table_find(&bucket_kind, &table->slots, wanted.hash, &wanted);
	uint32_t slot = *(const uint32_t *)pa_hash_table_at(&bucket_kind, &table->slots, i);
	return slot ? pa_hash_table_number(slot) : PA_BUCKET_TABLE_NONE;
}

uint32_t pa_bucket_table_index(struct pa_bucket_table *table, const struct pa_stack *stack,
	uint64_t key)
{
	PA_ASSERT(table->max);
	uint32_t index = pa_bucket_table_find(table, stack, key);
	return index != PA_BUCKET_TABLE_NONE ? index : add_bucket(table, stack, key);
}

void pa_bucket_table_free(struct pa_bucket_table *table)
{
	for (size_t i = 0; i < PA_BUCKET_TABLE_CHUNKS; i++)
		pa_unmap(table->chunks[i], CHUNK_BYTES);
	pa_hash_table_free(&bucket_kind, &table->slots);
	pa_bucket_table_abandon(table);
}

void pa_bucket_table_abandon(struct pa_bucket_table *table)
{
	*table = (struct pa_bucket_table){ .max = table->max };
}

#include "tally.h"

#include <string.h>

#include "../base/arena.h"

#define FIRST_HEADS 1024
#define CHUNK_BYTES (PA_TALLY_CHUNK * sizeof(struct pa_tally))

static uint32_t hash_of(const struct pa_stack *stack, uint64_t key)
{
	uint64_t h = ((uintptr_t)stack >> 4) * 0x9e3779b97f4a7c15u + key;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return (uint32_t)(h >> 32);
}

static uint32_t *head_of(const struct pa_tally_table *table, const struct pa_tally *tally)
{
	return &table->heads[hash_of(tally->stack, tally->key) & (table->head_count - 1)];
}

static void link_record(struct pa_tally_table *table, uint32_t index)
{
	struct pa_tally *tally = pa_tally_at(table, index);
	uint32_t *head = head_of(table, tally);
	tally->next = *head;
	*head = index + 1;
}

/* Failing to grow is no error: the chains get longer. */
static void grow_heads(struct pa_tally_table *table)
{
	uint32_t count = table->head_count ? table->head_count * 2 : FIRST_HEADS;
	uint32_t *heads = pa_map(count * sizeof(*heads));
	if (!heads)
		return;
	pa_unmap(table->heads, table->head_count * sizeof(*heads));
	table->bytes += (count - table->head_count) * sizeof(*heads);
	table->heads = heads;
	table->head_count = count;
	for (uint32_t i = 0; i < table->count; i++)
		link_record(table, i);
}

static bool has_room(struct pa_tally_table *table)
{
	if (table->count >= table->max || table->count >= PA_TALLY_LIMIT)
		return false;
	if (table->count >= table->head_count)
		grow_heads(table);
	struct pa_tally **chunk = &table->chunks[table->count / PA_TALLY_CHUNK];
	if (!*chunk && (*chunk = pa_map(CHUNK_BYTES)))
		table->bytes += CHUNK_BYTES;
	return *chunk && table->head_count;
}

static uint32_t add(struct pa_tally_table *table, const struct pa_stack *stack, uint64_t key)
{
	if (!has_room(table))
		return PA_TALLY_NONE;
	uint32_t index = table->count++;
	*pa_tally_at(table, index) = (struct pa_tally){ .stack = stack, .key = key };
	link_record(table, index);
	return index;
}

uint32_t pa_tally_index(struct pa_tally_table *table, const struct pa_stack *stack, uint64_t key)
{
	if (!table->head_count)
		return add(table, stack, key);
	uint32_t next = table->heads[hash_of(stack, key) & (table->head_count - 1)];
	while (next) {
		const struct pa_tally *tally = pa_tally_at(table, next - 1);
		if (tally->stack == stack && tally->key == key)
			return next - 1;
		next = tally->next;
	}
	return add(table, stack, key);
}

void pa_tally_free(struct pa_tally_table *table)
{
	for (size_t i = 0; i < PA_TALLY_CHUNKS; i++)
		pa_unmap(table->chunks[i], CHUNK_BYTES);
	pa_unmap(table->heads, table->head_count * sizeof(*table->heads));
	pa_tally_abandon(table);
}

void pa_tally_abandon(struct pa_tally_table *table)
{
	*table = (struct pa_tally_table){ .max = table->max };
}

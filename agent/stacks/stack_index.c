/* SPDX-License-Identifier: Apache-2.0 */
#include "stack_index.h"

#include <string.h>

static uint64_t hash_ids(const uint32_t *ids, uint32_t depth)
{
	uint64_t hash = depth + 1;
	for (uint32_t i = 0; i < depth; i++)
		hash = pa_hash_table_mix(hash, ids[i]);
	return hash;
}

struct pa_stack_index_wanted pa_stack_index_want(const uint32_t *ids, uint32_t depth)
{
	return (struct pa_stack_index_wanted){ ids, depth, hash_ids(ids, depth) };
}

PA_INLINE bool is_wanted_stack(const struct pa_hash_table *unused, const void *slot,
	const void *key)
{
	(void)unused;
	const struct pa_stack *stack = *(const struct pa_stack *const *)slot;
	const struct pa_stack_index_wanted *wanted = key;
	return stack->hash == wanted->hash && stack->depth == wanted->depth &&
		memcmp(stack->locs, wanted->ids, wanted->depth * sizeof(*wanted->ids)) == 0;
}

static uint64_t hash_of_stack(const struct pa_hash_table *unused, const void *slot)
{
	(void)unused;
	return (*(const struct pa_stack *const *)slot)->hash;
}

const struct pa_hash_table_kind pa_stack_index_kind = {
	.slot_bytes = sizeof(const struct pa_stack *),
	.has_key = is_wanted_stack,
	.hash = hash_of_stack,
};

const struct pa_stack *pa_stack_index_find(const struct pa_hash_table *index,
	const struct pa_stack_index_wanted *wanted)
{
	uint32_t i = pa_hash_table_find(&pa_stack_index_kind, index, wanted->hash, wanted);
	return *(const struct pa_stack **)pa_hash_table_at(&pa_stack_index_kind, index, i);
}

const struct pa_stack *pa_stack_index_add(struct pa_hash_table *index, struct pa_arena *arena,
	const struct pa_stack_index_wanted *wanted, uint32_t id)
{
	size_t ids_bytes = wanted->depth * sizeof(*wanted->ids);
	struct pa_stack *stack = pa_arena_alloc(arena, sizeof(*stack) + ids_bytes);
	if (!stack)
		return NULL;
	*stack = (struct pa_stack){
		.id = id, .depth = (uint16_t)wanted->depth, .hash = wanted->hash
	};
	memcpy(stack->locs, wanted->ids, ids_bytes);
	*(const struct pa_stack **)pa_hash_table_add(&pa_stack_index_kind, index, wanted->hash) =
		stack;
	return stack;
}

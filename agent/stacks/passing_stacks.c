/* SPDX-License-Identifier: Apache-2.0 */
#include "passing_stacks.h"

#include "../base/arena.h"
#include "../base/hash_table.h"
#include "../base/lock.h"
#include "passing_holders.h"

#define MAX_ARENA_BYTES ((size_t)2 << 20)
#define MAX_STACKS 32768
#define FIRST_SLOTS 512
/* Sets their ids apart from those of the stack table. */
#define FIRST_ID (1u << 31)

static struct {
	struct pa_arena arena;
	struct pa_hash_table table; /* pointers by location ids */
} state = { .arena = PA_ARENA_INIT("passing stacks", MAX_ARENA_BYTES) };

/* NULL: full. */
static const struct pa_stack *add_passing(const struct pa_stack_index_wanted *wanted)
{
	if (state.table.used >= MAX_STACKS ||
		!pa_hash_table_grow(&pa_stack_index_kind, &state.table, FIRST_SLOTS))
		return NULL;
	return pa_stack_index_add(&state.table, &state.arena, wanted, FIRST_ID + state.table.used);
}

const struct pa_stack *pa_passing_stacks_intern_locked(const uintptr_t *pcs, uint32_t depth,
	bool leaf, enum pa_pseudo_pc tail)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	uint32_t ids[PA_STACK_TABLE_DEPTH + 1];
	struct pa_stack_index_wanted wanted;
	const struct pa_stack *stack = NULL;
	if (depth <= PA_STACK_TABLE_DEPTH &&
		pa_stack_table_want_locked(pcs, depth, leaf, tail, ids, &wanted)) {
		stack = pa_stack_table_find(&wanted);
		if (!stack && state.table.used)
			stack = pa_stack_index_find(&state.table, &wanted);
		if (!stack)
			stack = add_passing(&wanted);
	}
	return stack ? stack : pa_stack_table_intern_locked(pcs, depth, leaf, tail);
}

void pa_passing_stacks_drop_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	if (pa_passing_holders_exist())
		return;
	pa_arena_free(&state.arena);
	pa_hash_table_free(&pa_stack_index_kind, &state.table);
}

struct pa_passing_stacks_stats pa_passing_stacks_stats(void)
{
	return (struct pa_passing_stacks_stats){
		.stacks = state.table.used,
		.bytes = state.arena.mapped_bytes +
			state.table.capacity * pa_stack_index_kind.slot_bytes,
	};
}

/* Unmaps nothing that may be inconsistent. */
void pa_passing_stacks_atfork_child(bool kept)
{
	pa_passing_holders_atfork_child();
	if (kept)
		return;
	state.arena = (struct pa_arena)PA_ARENA_INIT("passing stacks", MAX_ARENA_BYTES);
	state.table = (struct pa_hash_table){ 0 };
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An index of stacks: a hash table of pointers to them, by the ids of their locations. The stacks
 * are in an arena. For stack_table.h and passing_stacks.h.
 *
 * Context: PA_AGENT; the owner of the index serializes.
 */
#ifndef PA_STACK_INDEX_H
#define PA_STACK_INDEX_H

#include "../base/arena.h"
#include "../base/atomic.h"
#include "../base/base.h"
#include "../base/hash_table.h"

struct pa_stack {
	uint32_t id; /* 0, 1, ... */
	uint16_t depth;
	PA_ATOMIC(uint8_t) futex_kind; /* of a waiter: enum pa_futex_kind, see below; relaxed */
	uint64_t hash;
	uint32_t locs[]; /* location ids, innermost first */
};

/* What is looked for: the key of an index. */
struct pa_stack_index_wanted {
	const uint32_t *ids; /* of the locations, innermost first */
	uint32_t depth;
	uint64_t hash;
};

extern const struct pa_hash_table_kind pa_stack_index_kind PA_HIDDEN;

/* Keeps ids, not a copy. */
PA_AGENT struct pa_stack_index_wanted pa_stack_index_want(const uint32_t *ids, uint32_t depth);

/* NULL: it is not in the index, which has slots. */
PA_AGENT const struct pa_stack *pa_stack_index_find(const struct pa_hash_table *index,
	const struct pa_stack_index_wanted *wanted);

/* Adds a stack that is not in the index, which has room for it. NULL: the arena is full. */
PA_AGENT const struct pa_stack *pa_stack_index_add(struct pa_hash_table *index,
	struct pa_arena *arena, const struct pa_stack_index_wanted *wanted, uint32_t id);

#endif

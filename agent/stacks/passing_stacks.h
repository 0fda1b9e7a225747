/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks of CPU ticks, which are needed until the profile that they are in was read. They are kept
 * apart from those of stack_table.h, because a busy program has new ones all the time: programs
 * that are profiled continuously would fill that table for ever. Locations are those of that table.
 *
 * All are freed at once, when no CPU profile runs and no snapshot of one exists. When the memory is
 * full, and while a trace needs stacks for longer, stacks go into the stack table.
 *
 * Context: PA_AGENT, the collector under PA_LOCK_TABLES.
 */
#ifndef PA_PASSING_STACKS_H
#define PA_PASSING_STACKS_H

#include "stack_table.h"

/* As pa_stack_table_intern_locked; valid until the next drop. Ids are above those of the table. */
PA_AGENT const struct pa_stack *pa_passing_stacks_intern_locked(const uintptr_t *pcs,
	uint32_t depth, bool leaf, enum pa_pseudo_pc tail);

/* Frees all, unless a snapshot holds them (passing_holders.h). The caller has none of them. */
PA_AGENT void pa_passing_stacks_drop_locked(void);

struct pa_passing_stacks_stats {
	uint32_t stacks;
	size_t bytes;
};
PA_AGENT struct pa_passing_stacks_stats pa_passing_stacks_stats(void);

/* In a forked child, where no snapshot exists. kept: the tables are consistent. */
PA_BOOT void pa_passing_stacks_atfork_child(bool kept);

#endif

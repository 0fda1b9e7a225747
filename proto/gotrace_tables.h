/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbered stacks and texts of a trace.
 *
 * A stack of the trace is a stack of the stack table, modified: with an added innermost frame that
 * names the wait, or reduced to its outermost frame. It gets its number at its first use; its
 * frames are written at the end, when they can be symbolized. Texts are written at once.
 *
 * Context: PA_AGENT, one thread; pa_gotrace_tables_write on the render thread. No lock. Without
 * memory: failed is set.
 */
#ifndef PA_GOTRACE_TABLES_H
#define PA_GOTRACE_TABLES_H

#include "../agent/base/arena.h"
#include "../agent/base/pair_map.h"
#include "strtab.h"
#include "gotrace_bytes.h"

/* Form of a stack; smaller values are an enum pa_trace_events_wait, whose name becomes the
 * innermost frame. */
#define PA_GOTRACE_ENTRY 255u /* the outermost frame only */

struct pa_gotrace_key {
	const struct pa_stack *stack; /* NULL: "[unknown]" */
	uint32_t how;
};

struct pa_gotrace_tables {
	struct pa_gotrace_bytes *bytes;
	struct pa_pair_map numbers; /* group = how, value = the stack's id */
	struct pa_scratch keys;     /* struct pa_gotrace_key, by number - 1 */
	uint32_t key_count;
	struct pa_strtab strings;
	struct pa_arena texts; /* of texts that are not constants */
	bool failed;           /* out of memory: the trace cannot be completed */
};

/* *tables must be zeroed. Returns 0 or -ENOMEM. */
PA_AGENT int pa_gotrace_tables_init(struct pa_gotrace_tables *tables,
	struct pa_gotrace_bytes *bytes);
PA_AGENT void pa_gotrace_tables_free(struct pa_gotrace_tables *tables);

/* Number of a stack; 0: no stack, or no memory. */
PA_AGENT uint64_t pa_gotrace_tables_stack(struct pa_gotrace_tables *tables,
	const struct pa_stack *stack, uint32_t how);

/* Reserves a number for the outermost frame of a stack that is not known yet; 0: no memory. It is
 * "[unknown]" until it is bound. */
PA_AGENT uint64_t pa_gotrace_tables_reserve(struct pa_gotrace_tables *tables);
PA_AGENT void pa_gotrace_tables_bind(struct pa_gotrace_tables *tables, uint64_t number,
	const struct pa_stack *stack);

/* Number of a text, which is written if it is new; 0: empty, or full. */
PA_AGENT uint64_t pa_gotrace_tables_text(struct pa_gotrace_tables *tables, const char *text);

/* Writes all stacks with their frames. Returns 0, -ENOMEM or -ECANCELED. */
PA_AGENT int pa_gotrace_tables_write(struct pa_gotrace_tables *tables);

#endif

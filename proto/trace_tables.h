/*
 * What a trace names by number: stacks and texts.
 *
 * A stack of the trace is one of ours with something done to it: a frame for what the thread waits
 * in, or only its outermost frame. It gets its number at its first use; its frames are written at
 * the end, when they can be symbolized. Texts are written at once.
 *
 * Context: PA_AGENT, one thread; _write on the render thread.
 */
#ifndef PA_TRACE_TABLES_H
#define PA_TRACE_TABLES_H

#include "../agent/base/arena.h"
#include "../agent/base/pairmap.h"
#include "strtab.h"
#include "trace_bytes.h"

/* How a stack is shown; below it, enum pa_tracing_wait: with a frame of that name innermost. */
#define PA_TRACE_ENTRY 255u /* the outermost frame alone */

struct pa_trace_key {
	const struct pa_stack *stack; /* NULL: "[unknown]" */
	uint32_t how;
};

struct pa_trace_tables {
	struct pa_trace_bytes *bytes;
	struct pa_pairmap numbers; /* group = how, value = the stack's id */
	struct pa_grow keys;       /* struct pa_trace_key, by number - 1 */
	uint32_t key_count;
	struct pa_strtab strings;
	struct pa_arena texts;     /* of those that are not constants */
	bool failed;               /* out of memory: the trace cannot be completed */
};

/* *tables is zeroed before. 0 or -ENOMEM. */
PA_AGENT int pa_trace_tables_init(struct pa_trace_tables *tables, struct pa_trace_bytes *bytes);
PA_AGENT void pa_trace_tables_free(struct pa_trace_tables *tables);

/* The number of a stack; 0: no stack, or no memory. */
PA_AGENT uint64_t pa_trace_tables_stack(struct pa_trace_tables *tables,
	const struct pa_stack *stack, uint32_t how);

/* A number for the outermost frame of a stack that is not known yet; 0: no memory. Until it is
 * bound it is called "[unknown]". */
PA_AGENT uint64_t pa_trace_tables_reserve(struct pa_trace_tables *tables);
PA_AGENT void pa_trace_tables_bind(struct pa_trace_tables *tables, uint64_t number,
	const struct pa_stack *stack);

/* The number of a text, written when it is new; 0: empty, or no room for one more. */
PA_AGENT uint64_t pa_trace_tables_text(struct pa_trace_tables *tables, const char *text);

/* All stacks with their frames. 0, -ENOMEM, -ECANCELED. */
PA_AGENT int pa_trace_tables_write(struct pa_trace_tables *tables);

#endif

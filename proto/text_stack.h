/*
 * Stacks in the text forms: the "@" list of addresses and the "#" lines with names, aligned as Go
 * aligns them, and the frames themselves for a form that has lines of its own.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes). Each location is looked up once,
 * however many stacks it is in; memory as locations appear. Zeroed is ready, but for the writer;
 * what is missing (-ENOMEM) is the writer's error.
 */
#ifndef PA_TEXT_STACK_H
#define PA_TEXT_STACK_H

#include "../agent/profile/symbols.h"
#include "grow.h"
#include "text_writer.h"

struct pa_text_stack {
	struct pa_text_writer *writer;
	struct pa_grow named;  /* struct named, by location id */
	struct pa_grow frames; /* struct pa_frame */
	uint32_t frame_count;
	struct pa_grow rows;   /* struct row: of one record */
	uint32_t row_count;
};

PA_AGENT void pa_text_stack_free(struct pa_text_stack *stacks);

/* The rest of a record: what list writes, then what names writes. */
PA_AGENT void pa_text_stack_put(struct pa_text_stack *stacks, const struct pa_stack *stack);

/* " 0x.." of each location, to the end of the line. */
PA_AGENT void pa_text_stack_list(struct pa_text_stack *stacks, const struct pa_stack *stack);

/* The "#" lines and an empty one. */
PA_AGENT void pa_text_stack_names(struct pa_text_stack *stacks, const struct pa_stack *stack);

/* The frames of one location as pa_symbols_lookup gives them; at: until the next call here. */
struct pa_text_frames {
	const struct pa_frame *at;
	uint32_t count;   /* 0: it has no name */
	uintptr_t offset; /* from the start of the function that has the code, also for what was
	                     inlined into it; as in Go the whole address where that is unknown */
};

/* False: out of memory, and *out is not set. */
PA_AGENT bool pa_text_stack_frames(struct pa_text_stack *stacks, uint32_t loc_id,
	struct pa_text_frames *out);

#endif

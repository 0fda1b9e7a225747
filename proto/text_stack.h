/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks in the text forms: the "@" list of addresses, the "#" lines with names, aligned as by Go,
 * and the frames for forms with lines of their own.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes). No lock. Each location is looked up
 * once, however many stacks contain it; memory grows with the locations. To be zeroed except for
 * the writer; -ENOMEM becomes the writer's error.
 */
#ifndef PA_TEXT_STACK_H
#define PA_TEXT_STACK_H

#include "../agent/symbols/symbols.h"
#include "scratch.h"
#include "text_writer.h"

struct pa_text_stack {
	struct pa_text_writer *writer;
	struct pa_scratch named;  /* struct named, by location id */
	struct pa_scratch frames; /* struct pa_frame */
	uint32_t frame_count;
	struct pa_scratch rows; /* struct row: of one record */
	uint32_t row_count;
};

PA_AGENT void pa_text_stack_free(struct pa_text_stack *stacks);

/* Writes the rest of a record: list, then names. */
PA_AGENT void pa_text_stack_put(struct pa_text_stack *stacks, const struct pa_stack *stack);

/* Writes " 0x.." for each location, to the end of the line. */
PA_AGENT void pa_text_stack_list(struct pa_text_stack *stacks, const struct pa_stack *stack);

/* Writes the "#" lines and an empty line. */
PA_AGENT void pa_text_stack_names(struct pa_text_stack *stacks, const struct pa_stack *stack);

/* Frames of one location as pa_symbols_lookup returns them; at is valid until the next call. */
struct pa_text_frames {
	const struct pa_frame *at;
	uint32_t count;   /* 0: no name */
	uintptr_t offset; /* from the start of the function that contains the code, also for inlined
			   * frames; as in Go the whole address if that is unknown */
};

/* False: out of memory, *out is unchanged. */
PA_AGENT bool pa_text_stack_frames(struct pa_text_stack *stacks, uint32_t loc_id,
	struct pa_text_frames *out);

/* Name of the file that contains a location, without its folders, which stands for a function
 * without a name; NULL: it is in no file. */
PA_AGENT const char *pa_text_stack_file(const struct pa_loc *loc);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output buffers of render jobs, charged to the budget (client_budget.h). One buffer is kept for
 * the next job if little of it was used: to map, touch and unmap one costs as much as to write a
 * small profile into it.
 *
 * Context: PA_AGENT or as marked, any thread. No lock.
 */
#ifndef PA_RENDER_BUFFER_H
#define PA_RENDER_BUFFER_H

#include "../base/base.h"

#define PA_RENDER_BUFFER_BYTES ((size_t)2 << 20)
/* A buffer of which more was used is not kept. */
#define PA_RENDER_BUFFER_KEPT_BYTES ((size_t)64 << 10)

struct pa_render_buffer {
	char *at; /* NULL: none */
	size_t bytes;
	bool stays; /* it is the one that is kept: all of it stays mapped */
};

/* Of PA_RENDER_BUFFER_BYTES, with any contents. False: the budget is spent. True without a buffer:
 * out of memory. */
PA_AGENT bool pa_render_buffer_take(struct pa_render_buffer *buffer);

/* Gives back what is behind the first used bytes, which the owner has not touched. 0: all. */
PA_API void pa_render_buffer_cut(struct pa_render_buffer *buffer, size_t used);

/* Unmaps the buffer that is kept, if no job has it. */
PA_AGENT void pa_render_buffer_trim(void);

/* In a forked child: the buffers of the parent's jobs are forgotten. */
PA_BOOT void pa_render_buffer_reset(void);

#endif

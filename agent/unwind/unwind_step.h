/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interface of unwind.c, which uses libunwind, for unwind_finish.c only.
 * Context: PA_AGENT, as in unwind.h.
 */
#ifndef PA_UNWIND_STEP_H
#define PA_UNWIND_STEP_H

#include "../record/frame_cache.h"

/* False: rules learnt now say nothing about the code. */
PA_AGENT bool pa_unwind_usable(void);

/* The innermost frame. */
struct pa_unwind_from {
	struct pa_regs regs;
	uint32_t known;        /* bit i: regs.gpr[i] is valid */
	pa_read_word_fn *read; /* the stack */
	void *read_arg;
};

struct pa_unwind_to {
	struct pa_cursor cursor;
	bool bp_known; /* cursor.bp is valid */
	bool leaf;     /* cursor.pc was interrupted: the last frame was a signal frame */
};

/*
 * count steps by libunwind, for frames without a rule. False: failed, or reached the end of the
 * stack.
 */
PA_AGENT bool pa_unwind_steps(const struct pa_unwind_from *from, uint32_t count,
	struct pa_unwind_to *to);

#endif

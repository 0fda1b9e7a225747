/*
 * What unwind_finish.c needs of unwind.c, where libunwind is. For no one else.
 * Context: PA_AGENT, as in unwind.h.
 */
#ifndef PA_UNWIND_STEP_H
#define PA_UNWIND_STEP_H

#include "../record/frames.h"

/* False: rules that are learnt now say nothing about the code. */
PA_AGENT bool pa_unwind_usable(void);

/* The innermost frame. */
struct pa_unwind_from {
	struct pa_regs regs;
	uint32_t known; /* bit i: regs.gpr[i] is true */
	pa_read_word_fn *read; /* the stack */
	void *read_arg;
};

struct pa_unwind_to {
	struct pa_cursor cursor;
	bool bp_known; /* cursor.bp is true */
	bool leaf;     /* cursor.pc was interrupted: the last frame was a signal's */
};

/*
 * count steps by libunwind itself, for frames that no rule describes. False when it failed, or came
 * to the end of the stack.
 */
PA_AGENT bool pa_unwind_step(const struct pa_unwind_from *from, uint32_t count,
	struct pa_unwind_to *to);

#endif

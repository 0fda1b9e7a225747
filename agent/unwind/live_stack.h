/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack of a blocked thread, read in place: the copy in its event may be too short for frames
 * with large buffers. What was read counts only if the thread has not run meanwhile.
 *
 * Context: PA_AGENT; reads /proc. No lock, no state.
 */
#ifndef PA_LIVE_STACK_H
#define PA_LIVE_STACK_H

#include "../base/base.h"

struct pa_live_stack {
	int32_t tid;
	uintptr_t sp, pc;
	char switches[128]; /* of the thread, as /proc shows them */
};

/* True when the thread is blocked in a system call at sp and pc: read its stack now. */
PA_AGENT bool pa_live_stack_begin(struct pa_live_stack *live, int32_t tid, uintptr_t sp,
	uintptr_t pc);

/* True when it has been there since pa_live_stack_begin: it has not run. */
PA_AGENT bool pa_live_stack_is_same(const struct pa_live_stack *live);

#endif

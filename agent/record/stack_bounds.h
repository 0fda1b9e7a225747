/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known bounds of a thread's own stack: [stack_lo, stack_hi) of struct pa_thread is readable and
 * stays so, for plain loads. The lower part is verified page by page (the kernel grows the main
 * thread's stack on demand; a stack given by the program may have holes), and removed again when
 * the thread unmaps or protects part of it.
 *
 * Context: PA_SIGNAL, on the thread itself. Verifies memory through peek.h. No lock.
 */
#ifndef PA_STACK_BOUNDS_H
#define PA_STACK_BOUNDS_H

#include "thread.h"

/*
 * The calling thread's stack is [known, hi); [least, known) needs verification by
 * pa_stack_bounds_extend. Any alignment.
 */
PA_SIGNAL void pa_stack_bounds_set(struct pa_thread *thread, uintptr_t least, uintptr_t known,
	uintptr_t hi);

/*
 * The calling thread is at sp, below the known part of its own stack: extends the known part to
 * [sp, stack_hi) when all pages in between are readable. A hole means that sp is on another stack
 * within the range of the thread's own. 0.1 us a page, at most 4 MiB a call.
 */
PA_SIGNAL void pa_stack_bounds_extend(uintptr_t sp);
PA_INLINE bool pa_stack_bounds_may_extend(const struct pa_thread *thread, uintptr_t sp)
{
	return sp < thread->stack_lo && sp >= thread->stack_least;
}

/*
 * The calling thread is about to unmap [lo, hi) or make it unreadable. If that overlaps its own
 * stack, the stack ends above it from now on. Any addresses.
 */
PA_SIGNAL void pa_stack_bounds_cut(uintptr_t lo, uintptr_t hi);

#endif

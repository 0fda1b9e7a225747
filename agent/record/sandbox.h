/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads in a seccomp sandbox, or about to enter one: the system calls that hooks must not make on
 * them. The hooks of prctl(2) and syscall(2) set these bits before the kernel installs the filter,
 * so that a filter which kills its thread never sees a call of the agent. A new thread inherits the
 * bits, as it inherits filters (seccomp(2)).
 *
 * Not detected: filters installed by a raw system call instruction of the program.
 *
 * Context: PA_APP, on the thread itself; queries in any context. No lock.
 */
#ifndef PA_SANDBOX_H
#define PA_SANDBOX_H

#include "calls.h"
#include "thread.h"

/* Calls denied to all threads because of a filter with SECCOMP_FILTER_FLAG_TSYNC; relaxed. */
extern PA_ATOMIC(uint32_t) pa_sandbox_all PA_HIDDEN;

/* System calls of the agent in progress on threads to which they were not denied; acq_rel. */
extern PA_ATOMIC(uint32_t) pa_sandbox_calls PA_HIDDEN;

/* Boot waits for evidence that the installed filters allow process creation; relaxed. */
extern PA_ATOMIC(uint32_t) pa_sandbox_unproven PA_HIDDEN;

/* True when the calling thread may make all of these calls (enum pa_calls). self: its own. */
PA_INLINE bool pa_sandbox_may(const struct pa_thread *self, uint32_t calls)
{
	uint32_t denied = pa_load_relaxed(&self->denied) | pa_load_relaxed(&pa_sandbox_all);
	return pa_likely(!(denied & calls));
}

/*
 * Around such calls: a filter for all threads waits until the calls in progress have ended. False:
 * the calls are denied; do not call end. For calls that concern only the calling thread, or take
 * only a few instructions, pa_sandbox_may suffices.
 */
PA_INLINE bool pa_sandbox_begin(const struct pa_thread *self, uint32_t calls)
{
	pa_add_acq_rel(&pa_sandbox_calls, 1);
	pa_fence_full(); /* pairs with the thread that denies calls and then reads
			  * pa_sandbox_calls */
	if (pa_sandbox_may(self, calls))
		return true;
	pa_sub_acq_rel(&pa_sandbox_calls, 1);
	return false;
}
PA_SIGNAL void pa_sandbox_end(void);

/* PA_CALLS_WAKE; begin, for the ring. */
PA_SIGNAL bool pa_sandbox_may_wake(void);
PA_SIGNAL bool pa_sandbox_begin_wake(void);

/* In a new thread, before anything else: denied calls of its creator. */
PA_APP void pa_sandbox_inherit(struct pa_thread *self, uint32_t denied);

/* In a forked child: calls in progress on other threads are not its own. */
PA_BOOT void pa_sandbox_atfork_child(void);

#endif

/*
 * Threads that are in a seccomp sandbox, or about to enter one: which system calls hooks must not
 * make on them. The hooks of prctl and syscall say so before the kernel does, so that a filter
 * which ends its thread for a call never sees one of ours. A thread that is made in a sandbox is in
 * it, too.
 *
 * What is not seen: filters that are put on by a system call instruction of the program's own.
 *
 * Context: PA_APP, on the thread itself; questions in any.
 */
#ifndef PA_SANDBOX_H
#define PA_SANDBOX_H

#include <linux/filter.h>

#include "calls.h"
#include "thread.h"

/* What a thread may not do although the program put the filter on another one (TSYNC); relaxed. */
extern PA_ATOMIC(uint32_t) pa_sandbox_all PA_HIDDEN;

/* System calls of ours that are being made by threads which were not forbidden to; acq_rel. */
extern PA_ATOMIC(uint32_t) pa_sandbox_calls PA_HIDDEN;

/* Boot waits for a sign that filters which are in force allow to make a process; relaxed. */
extern PA_ATOMIC(uint32_t) pa_sandbox_unproven PA_HIDDEN;

/* May the calling thread make all of these calls (enum pa_calls)? self: its own. */
PA_INLINE bool pa_sandbox_may(const struct pa_thread *self, uint32_t calls)
{
	uint32_t denied = pa_load_relaxed(&self->denied) | pa_load_relaxed(&pa_sandbox_all);
	return pa_likely(!(denied & calls));
}

/*
 * Around such calls: a filter for all threads waits for the end of those that are under way when it
 * comes. False: they may not be made, and there is no end. For what a thread does alone, or for
 * less than a few instructions, pa_sandbox_may is enough.
 */
PA_INLINE bool pa_sandbox_begin(const struct pa_thread *self, uint32_t calls)
{
	pa_add_acq_rel(&pa_sandbox_calls, 1);
	pa_fence_full(); /* against the one who forbids them, and then looks at pa_sandbox_calls */
	if (pa_sandbox_may(self, calls))
		return true;
	pa_sub_acq_rel(&pa_sandbox_calls, 1);
	return false;
}
PA_SIGNAL void pa_sandbox_end(void);

/* A step into a sandbox that the program wants to make. */
struct pa_sandbox_step {
	const struct sock_fprog *filter; /* NULL: strict mode */
	bool all_threads;
	uint32_t had, had_all; /* to go back to */
	uint32_t denied;       /* enum pa_calls */
};

/*
 * Around the step: look and enter before the kernel is asked, stay_out when it refused. look finds
 * out what the step denies; denied has it. From enter on, no call is made that the filter does not
 * allow, no timer of ours runs on the thread, and no signal of ours is on its way to it: of a
 * filter for all threads, on all of them. CPU sampling ends for those. errno kept.
 */
PA_APP void pa_sandbox_look(struct pa_sandbox_step *step, struct pa_thread *self);
PA_APP void pa_sandbox_enter(struct pa_sandbox_step *step, struct pa_thread *self);
PA_APP void pa_sandbox_stay_out(const struct pa_sandbox_step *step, struct pa_thread *self);

/* What the filter makes impossible, of enum pa_calls. An unreadable one: everything. */
PA_APP uint32_t pa_sandbox_denied(const struct sock_fprog *filter);

/* PA_CALLS_WAKE; begin for the ring. */
PA_SIGNAL bool pa_sandbox_may_wake(void);
PA_SIGNAL bool pa_sandbox_begin_wake(void);

/* In a new thread, before anything else: what its creator could not do. */
PA_APP void pa_sandbox_inherit(struct pa_thread *self, uint32_t denied);

/* In a forked child: calls of other threads are not its own. */
PA_BOOT void pa_sandbox_atfork_child(void);

#endif

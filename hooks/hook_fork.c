/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork and similar calls: no signal handler runs while libc holds locks that it takes because of
 * the agent's threads, copies find no lock held by these threads, and forked children get the agent
 * back.
 *
 * vfork, and clone with CLONE_VM, go to libc unchanged: such a child runs in the parent's memory,
 * which contains the agent's threads.
 */
#include <sched.h>
#include <stdarg.h>

#include "../agent/record/handler_frame.h"
#include "../agent/record/switches.h"
#include "../agent/record/process.h"
#include "../agent/arch/arch.h"
#include "real.h"

#include "../agent/base/banned.h"

bool pa_hooks_would_wait_for_itself(void)
{
	return pa_load_acquire(&pa_switches->booted) && pa_process->is_alone() &&
		pa_handler_frame_cut_into(pa_real_allocator);
}

PA_ENTRY pid_t fork(void)
{
	PA_CALM_FLAGS();
	struct pa_process_hold hold;
	if (pa_unlikely(pa_hooks_would_wait_for_itself()))
		return _Fork();
	pa_process->hold_fork(&hold);
	pid_t pid = PA_REAL(fork)();
	if (pid == 0)
		pa_process->forked();
	pa_process->release_signals(&hold);
	if (pid > 0)
		pa_process_proven(false);
	return pid;
}

/* These fork inside libc without calling the hook of fork. */

PA_ENTRY int daemon(int nochdir, int noclose)
{
	PA_CALM_FLAGS();
	struct pa_process_hold hold;
	pa_process->hold_fork(&hold);
	int result = PA_REAL(daemon)(nochdir, noclose);
	if (result == 0)
		pa_process->forked();
	pa_process->release_signals(&hold);
	return result;
}

PA_ENTRY int forkpty(int *master, char *name, const struct termios *termios,
	const struct winsize *size)
{
	PA_CALM_FLAGS();
	struct pa_process_hold hold;
	pa_process->hold_fork(&hold);
	int pid = PA_REAL(forkpty)(master, name, termios, size);
	if (pid == 0)
		pa_process->forked();
	pa_process->release_signals(&hold);
	return pid;
}

PA_ENTRY int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
	void *dso)
{
	PA_CALM_FLAGS();
	extern void *__dso_handle PA_HIDDEN;
	if (dso != &__dso_handle)
		pa_store_relaxed(&pa_process_has_fork_handlers, 1);
	return PA_REAL(__register_atfork)(prepare, parent, child, dso);
}

/* ---- copies that libc makes without fork handlers ---- */

/* The child is not profiled: it may only make async-signal-safe calls, and exec. */
PA_ENTRY pid_t _Fork(void)
{
	PA_CALM_FLAGS();
	struct pa_process_hold hold;
	pa_process->hold(&hold, !pa_hooks_would_wait_for_itself());
	pid_t pid = PA_REAL(_Fork)();
	if (pid == 0)
		pa_process->copied(&hold);
	else
		pa_process->release(&hold);
	return pid;
}

/* On the parent's stack, of which the child has a copy. */
struct copy {
	int (*run)(void *);
	void *arg;
	struct pa_process_hold hold;
};

static int run_copy(void *given)
{
	const struct copy *copy = given;
	pa_process->copied(&copy->hold);
	return copy->run(copy->arg);
}

PA_ENTRY int clone(int (*run)(void *), void *stack, int flags, void *arg, ...)
{
	PA_CALM_FLAGS();
	va_list more;
	va_start(more, arg);
	pid_t *parent_tid = va_arg(more, pid_t *);
	void *tls = va_arg(more, void *);
	pid_t *child_tid = va_arg(more, pid_t *);
	va_end(more);
	if (flags & CLONE_VM || !run || !stack)
		return PA_REAL(clone)(run, stack, flags, arg, parent_tid, tls, child_tid);
	struct copy copy = { .run = run, .arg = arg };
	pa_process->hold(&copy.hold, !pa_hooks_would_wait_for_itself());
	int pid = PA_REAL(clone)(run_copy, stack, flags, &copy, parent_tid, tls, child_tid);
	pa_process->release(&copy.hold);
	return pid;
}

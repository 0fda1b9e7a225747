/* SPDX-License-Identifier: Apache-2.0 */
#include "fork_guard.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "record/switches.h"
#include "arch/arch.h"
#include "record/sandbox.h"
#include "record/thread.h"
#include "agent_thread.h"

/* Longest wait of a copy of the process for agent threads to leave the loader. */
#define COPY_WAIT_NS (2 * PA_NS_PER_S)

static struct {
	struct pa_lock *loader;
	char *single_threaded; /* libc's own __libc_single_threaded, not the program's copy
			        * relocation; NULL: none */
	PA_ATOMIC(uint32_t) copied_still; /* in a copy without fork handlers: no agent thread was
					   * in the loader */
} state;

void pa_fork_guard_boot(struct pa_lock *loader)
{
	state.loader = loader;
	state.single_threaded = dlsym(RTLD_NEXT, "__libc_single_threaded");
}

/* ---- signals ---- */

static uint64_t signal_bit(int signal)
{
	return (uint64_t)1 << (signal - 1);
}

/*
 * All signals except those that an instruction raises, which end the process when blocked, and
 * SIGSETXID, by which setuid() of another thread waits for this one (nptl(7)).
 */
static uint64_t deferrable_signals(void)
{
	const int sigsetxid = 33;
	return ~(signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGFPE) |
		signal_bit(SIGILL) | signal_bit(SIGTRAP) | signal_bit(SIGSYS) |
		signal_bit(sigsetxid));
}

/* A raw system call: libc's function removes its own signals from the mask. */
void pa_fork_guard_signals(struct pa_process_hold *hold)
{
	uint64_t mask = deferrable_signals();
	if (!pa_sandbox_may(&pa_thread_self, PA_CALLS_FORK))
		return;
	hold->has_mask = pa_arch_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask,
				 (long)&hold->mask, sizeof(mask)) == 0;
}

void pa_fork_guard_release_signals(const struct pa_process_hold *hold)
{
	if (hold->has_mask)
		pa_arch_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&hold->mask, 0,
			sizeof(hold->mask));
}

void pa_fork_guard_fork(struct pa_process_hold *hold)
{
	*hold = (struct pa_process_hold){ 0 };
	if (pa_load_acquire(&pa_switches->booted) &&
		!pa_load_relaxed(&pa_process_has_fork_handlers))
		pa_fork_guard_signals(hold);
}

/* ---- agent threads ---- */

bool pa_fork_guard_is_bare_copy(void)
{
	return !pa_load_acquire(&pa_switches->booted);
}

bool pa_fork_guard_loader(int64_t timeout_ns)
{
	if (!pa_fork_guard_is_bare_copy())
		return pa_lock_timed(state.loader, timeout_ns);
	pa_lock_reset(state.loader);
	return pa_load_relaxed(&state.copied_still) && pa_lock_timed(state.loader, 0);
}

void pa_fork_guard_copy(struct pa_process_hold *hold, bool waits)
{
	*hold = (struct pa_process_hold){ 0 };
	if (pa_fork_guard_is_bare_copy() || pa_thread_self.role == PA_ROLE_AGENT)
		return;
	hold->alone = pa_agent_thread_is_alone();
	pa_fork_guard_signals(hold);
	waits = waits && pa_sandbox_may_wake();
	hold->has_loader = waits && pa_lock_timed(state.loader, COPY_WAIT_NS);
	pa_store_relaxed(&state.copied_still, hold->has_loader);
}

void pa_fork_guard_release(const struct pa_process_hold *hold)
{
	if (hold->has_loader)
		pa_unlock(state.loader);
	pa_fork_guard_release_signals(hold);
}

/*
 * With one thread libc's malloc and fork take no lock, so none that an agent thread held at the
 * fork. pthread_create resets the flag.
 */
void pa_fork_guard_copied(const struct pa_process_hold *hold)
{
	if (hold->alone && state.single_threaded)
		__atomic_store_n(state.single_threaded, 1, __ATOMIC_RELAXED);
	pa_fork_guard_release_signals(hold);
}

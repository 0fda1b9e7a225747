#include "hold.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "record/on.h"
#include "record/regs.h"
#include "record/sandbox.h"
#include "record/thread.h"

/* The longest that a copy of the process waits for our threads to leave the loader. */
#define COPY_WAIT_NS (2 * PA_NS_PER_S)

static struct {
	struct pa_lock *loader;
	char *single_threaded; /* libc's own mark, not a program's copy of it; NULL: has none */
	PA_ATOMIC(uint32_t) copied_still; /* in a stray: no thread of ours was in the loader */
	PA_ATOMIC(uint32_t) foreign; /* the program has fork handlers; relaxed */
} state;

void pa_hold_boot(struct pa_lock *loader)
{
	state.loader = loader;
	state.single_threaded = dlsym(RTLD_NEXT, "__libc_single_threaded");
}

/* ---- signals ---- */

static uint64_t bit(int signal)
{
	return (uint64_t)1 << (signal - 1);
}

/*
 * All but those that an instruction raises, which end the process when they are blocked, and the
 * one by which setuid() of another thread waits for this one (SIGSETXID of libc).
 */
static uint64_t deferrable(void)
{
	const int sigsetxid = 33;
	return ~(bit(SIGSEGV) | bit(SIGBUS) | bit(SIGFPE) | bit(SIGILL) | bit(SIGTRAP) |
		bit(SIGSYS) | bit(sigsetxid));
}

/* The system call itself: libc's function leaves its own signals out of what is put back. */
void pa_process_hold_signals(struct pa_hold *hold)
{
	uint64_t mask = deferrable();
	if (!pa_sandbox_may(&pa_thread_self, PA_CALLS_FORK))
		return;
	hold->has_mask = pa_regs_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask,
		(long)&hold->mask, sizeof(mask)) == 0;
}

void pa_process_release_signals(const struct pa_hold *hold)
{
	if (hold->has_mask)
		pa_regs_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&hold->mask, 0,
			sizeof(hold->mask));
}

void pa_process_has_fork_handlers(void)
{
	pa_store_relaxed(&state.foreign, 1);
}

void pa_process_hold_fork(struct pa_hold *hold)
{
	*hold = (struct pa_hold){ 0 };
	if (pa_load_acquire(&pa_on->booted) && !pa_load_relaxed(&state.foreign))
		pa_process_hold_signals(hold);
}

/* ---- our threads ---- */

bool pa_hold_is_stray(void)
{
	return !pa_load_acquire(&pa_on->booted);
}

bool pa_hold_loader(int64_t timeout_ns)
{
	if (!pa_hold_is_stray())
		return pa_lock_timed(state.loader, timeout_ns);
	pa_lock_reset(state.loader);
	return pa_load_relaxed(&state.copied_still) && pa_lock_timed(state.loader, 0);
}

void pa_process_hold(struct pa_hold *hold, bool waits)
{
	*hold = (struct pa_hold){ 0 };
	if (pa_hold_is_stray() || pa_thread_self.role == PA_ROLE_AGENT)
		return;
	hold->alone = pa_process_is_alone();
	pa_process_hold_signals(hold);
	waits = waits && pa_sandbox_may_wake();
	hold->has_loader = waits && pa_lock_timed(state.loader, COPY_WAIT_NS);
	pa_store_relaxed(&state.copied_still, hold->has_loader);
}

void pa_process_release(const struct pa_hold *hold)
{
	if (hold->has_loader)
		pa_unlock(state.loader);
	pa_process_release_signals(hold);
}

/*
 * With one thread libc's malloc and fork take no lock, and so ask for none that a thread of ours
 * held when the copy was made. pthread_create takes the mark away again.
 */
void pa_process_copied(const struct pa_hold *hold)
{
	if (hold->alone && state.single_threaded)
		__atomic_store_n(state.single_threaded, 1, __ATOMIC_RELAXED);
	pa_process_release_signals(hold);
}

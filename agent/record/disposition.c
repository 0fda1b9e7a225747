#include "disposition.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/atomic.h"
#include "../base/latch.h"
#include "../base/quiet.h"
#include "on.h"
#include "regs.h"

#include "../base/banned.h"

enum state_of { OF_PROGRAM, OURS, IGNORED };

/* libc's signal for the cancellation of threads, which sigfillset leaves out: pthreads(7). */
#define SIGCANCEL_BIT ((uint64_t)1 << 31)

static struct {
	struct pa_latch lock;
	pa_sigaction_fn *sigaction;
	pa_disposition_handler *handler;
	PA_ATOMIC(uint32_t) now;     /* enum state_of; written under lock, release / acquire */
	PA_ATOMIC(uint32_t) leaves;  /* see leave_alternate; written under lock, relaxed */
	PA_ATOMIC(uint32_t) handled; /* see is_handled; written under lock, relaxed */
	struct sigaction program;    /* what it has, or wants; guard: lock */
} state;

void pa_disposition_boot(pa_sigaction_fn *real_sigaction, pa_disposition_handler *ours)
{
	state.sigaction = real_sigaction;
	state.handler = ours;
}

int pa_disposition_neighbour(int number, int step)
{
	do
		number += step;
	while (number == SIGKILL || number == SIGSTOP ||
		(number > SIGSYS && number < SIGRTMIN)); /* libc's own */
	return number < 1 || number > SIGRTMAX ? 0 : number;
}

static bool has_handler(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* How many signals in a row, up to two, have that handler too. */
static int count_alike(const struct sigaction *action, int step)
{
	int number = pa_record.signal, count = 0;
	struct sigaction other;
	while (count < 2 && (number = pa_disposition_neighbour(number, step)) != 0 &&
		state.sigaction(number, NULL, &other) == 0 &&
		other.sa_handler == action->sa_handler)
		count++;
	return count;
}

/*
 * Is this handler meant for our signal? One that the signals around it have too was set for all of
 * them by the way, as runtimes and crash reporters do. Both directions, since the loop that sets
 * them may be on its way up or down.
 */
static bool is_meant(const struct sigaction *action)
{
	return has_handler(action) && count_alike(action, -1) + count_alike(action, 1) < 2;
}

static int set_ours(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART };
	uint64_t mask;
	if (!pa_load_relaxed(&state.leaves))
		action.sa_flags |= SA_ONSTACK;
	action.sa_sigaction = state.handler;
	pa_quiet_fill(&action.sa_mask);
	/* A thread that can be cancelled at any moment must not be in the middle of an event. */
	memcpy(&mask, &action.sa_mask, sizeof(mask));
	mask |= SIGCANCEL_BIT;
	memcpy(&action.sa_mask, &mask, sizeof(mask));
	return state.sigaction(pa_record.signal, &action, NULL) == 0 ? 0 : -errno;
}

static void set_simple(sighandler_t handler)
{
	struct sigaction action = { .sa_handler = handler };
	state.sigaction(pa_record.signal, &action, NULL);
}

static int install_locked(void)
{
	if (pa_load_relaxed(&state.now) == OF_PROGRAM) {
		if (state.sigaction(pa_record.signal, NULL, &state.program) != 0)
			return -errno;
		pa_store_relaxed(&state.handled, is_meant(&state.program));
	}
	if (pa_load_relaxed(&state.handled))
		return -EADDRINUSE;
	int error = set_ours();
	if (!error)
		pa_store_release(&state.now, OURS);
	return error;
}

int pa_disposition_install(void)
{
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	int error = install_locked();
	pa_latch_leave(&state.lock, hold);
	return error;
}

/* sigaction(2): setting it to SIG_IGN discards what is pending in all threads. */
void pa_disposition_drop_pending(void)
{
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	if (pa_load_relaxed(&state.now) == OURS) {
		set_simple(SIG_IGN);
		set_ours();
	}
	pa_latch_leave(&state.lock, hold);
}

static void restore_locked(bool for_ever)
{
	set_simple(SIG_IGN);
	if (for_ever && has_handler(&state.program))
		set_ours();
	else if (!for_ever && (has_handler(&state.program) || state.program.sa_handler != SIG_IGN))
		state.sigaction(pa_record.signal, &state.program, NULL);
	pa_store_release(&state.now, for_ever ? IGNORED : OF_PROGRAM);
}

void pa_disposition_restore(bool for_ever)
{
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	if (pa_load_relaxed(&state.now) == OURS)
		restore_locked(for_ever);
	pa_latch_leave(&state.lock, hold);
}

/* Kept for later: the kernel has ours. */
static void wish(const struct sigaction *action, struct sigaction *old)
{
	*old = state.program;
	if (action) {
		state.program = *action;
		sigdelset(&state.program.sa_mask, SIGKILL);
		sigdelset(&state.program.sa_mask, SIGSTOP);
		if (pa_load_relaxed(&state.now) == IGNORED)
			restore_locked(true);
	}
}

/* The kernel's own, in a process that may have inherited ours. */
static int change_kernels(const struct sigaction *action, struct sigaction *old)
{
	struct sigaction had;
	if (state.sigaction(pa_record.signal, action, &had) != 0)
		return -1;
	bool is_ours = had.sa_flags & SA_SIGINFO && had.sa_sigaction == state.handler;
	if (old)
		*old = is_ours ? state.program : had;
	return 0;
}

int pa_disposition_change(const struct sigaction *action, struct sigaction *old)
{
	/* A vfork child has dispositions of its own, and no signal of ours comes to it. */
	if (syscall(SYS_getpid) != pa_record.pid)
		return change_kernels(action, old);
	/* The program's addresses may be bad ones: not under the lock. */
	struct sigaction wanted, had;
	if (action)
		wanted = *action;
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	int result = 0;
	if (pa_load_relaxed(&state.now) == OF_PROGRAM)
		result = change_kernels(action ? &wanted : NULL, &had);
	else
		wish(action ? &wanted : NULL, &had);
	if (result == 0 && action)
		pa_store_relaxed(&state.handled, is_meant(&wanted));
	pa_latch_leave(&state.lock, hold);
	if (result == 0 && old)
		*old = had;
	return result;
}

/* As the kernel would end it: the default action of a real-time signal. */
static void end_process(int signal)
{
	uint64_t bit = (uint64_t)1 << (signal - 1);
	set_simple(SIG_DFL);
	/* The ids of now: a child of _Fork() inherits our handler. */
	long pid = pa_regs_syscall(SYS_getpid, 0, 0, 0, 0);
	long tid = pa_regs_syscall(SYS_gettid, 0, 0, 0, 0);
	pa_regs_syscall(SYS_tgkill, pid, tid, signal, 0);
	pa_regs_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&bit, 0, sizeof(bit));
}

/* The mask in which the kernel would call the program's handler. */
static void set_mask(const struct sigaction *action, int signal, const ucontext_t *context)
{
	uint64_t mask, interrupted;
	memcpy(&mask, &action->sa_mask, sizeof(mask));
	memcpy(&interrupted, &context->uc_sigmask, sizeof(interrupted));
	mask |= interrupted;
	if (!(action->sa_flags & SA_NODEFER))
		mask |= (uint64_t)1 << (signal - 1);
	pa_regs_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof(mask));
}

void pa_disposition_forward(int signal, siginfo_t *info, void *context)
{
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	struct sigaction action = state.program;
	if (has_handler(&action) && action.sa_flags & (int)SA_RESETHAND)
		state.program = (struct sigaction){ .sa_handler = SIG_DFL };
	pa_latch_leave(&state.lock, hold);
	if (!has_handler(&action)) {
		if (action.sa_handler == SIG_DFL)
			end_process(signal);
		return;
	}
	set_mask(&action, signal, context);
	if (action.sa_flags & SA_SIGINFO)
		action.sa_sigaction(signal, info, context);
	else
		action.sa_handler(signal);
}

void pa_disposition_leave_alternate(void)
{
	int saved_errno = errno;
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	uint32_t now = pa_load_relaxed(&state.now);
	pa_store_relaxed(&state.leaves, 1);
	if (now == OURS || (now == IGNORED && has_handler(&state.program)))
		set_ours();
	pa_latch_leave(&state.lock, hold);
	errno = saved_errno;
}

bool pa_disposition_leaves_alternate(void)
{
	return pa_load_relaxed(&state.leaves);
}

bool pa_disposition_is_handled(void)
{
	return pa_load_relaxed(&state.handled);
}

bool pa_disposition_is_ours(void)
{
	return pa_load_acquire(&state.now) == OURS;
}

void pa_disposition_atfork_child(void)
{
	pa_latch_reset(&state.lock);
	if (pa_load_relaxed(&state.now) != OF_PROGRAM)
		restore_locked(false);
}

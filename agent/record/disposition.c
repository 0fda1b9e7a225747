/* SPDX-License-Identifier: Apache-2.0 */
#include "disposition.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/assert.h"
#include "../base/atomic.h"
#include "../base/latch.h"
#include "../base/quiet.h"
#include "switches.h"
#include "../arch/arch.h"

#include "../base/banned.h"

enum state_of { OF_PROGRAM, OURS, IGNORED, SHARED };

/* glibc's signal for thread cancellation, which sigfillset leaves out: nptl(7). */
#define SIGCANCEL_BIT ((uint64_t)1 << 31)

static struct {
	struct pa_latch lock;
	pa_sigaction_fn *sigaction;
	pa_disposition_handler *handler;
	PA_ATOMIC(uint32_t) now;     /* enum state_of; written under lock, release / acquire */
	PA_ATOMIC(uint32_t) leaves;  /* see leave_alternate; written under lock, relaxed */
	PA_ATOMIC(uint32_t) handled; /* see is_handled; written under lock, relaxed */
	struct sigaction program;    /* the program's action, set or deferred; guard: lock */
} state;

void pa_disposition_boot(pa_sigaction_fn *real_sigaction, pa_disposition_handler *ours)
{
	state.sigaction = real_sigaction;
	state.handler = ours;
}

int pa_disposition_neighbour(int number, int step)
{
	PA_ASSERT(step == 1 || step == -1);
	do
		number += step;
	while (number == SIGKILL || number == SIGSTOP ||
		(number > SIGSYS && number < SIGRTMIN)); /* glibc's own */
	return number < 1 || number > SIGRTMAX ? 0 : number;
}

/* The next signal in that direction that a mask can hold; for the last one the second in the other
 * direction. */
static int near_signal(int step)
{
	int next = pa_disposition_neighbour(pa_record.signal, step);
	if (next)
		return next;
	return pa_disposition_neighbour(pa_disposition_neighbour(pa_record.signal, -step), -step);
}

bool pa_disposition_has_neighbours(const sigset_t *set)
{
	return sigismember(set, near_signal(-1)) == 1 && sigismember(set, near_signal(1)) == 1;
}

static bool has_handler(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* Number of consecutive signals, up to two, with the same handler. */
static int count_same_handler(const struct sigaction *action, int step)
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
 * True when this handler is meant for the agent's signal alone. A handler that the adjacent signals
 * have too was set in a loop over all signals, as runtimes and crash reporters do. Both directions
 * count: the loop may still be running upwards or downwards.
 */
static bool is_meant_for_ours(const struct sigaction *action)
{
	return has_handler(action) &&
		count_same_handler(action, -1) + count_same_handler(action, 1) < 2;
}

/*
 * With the flags and mask of the program's action: which calls it interrupts, on which stack it
 * runs, which signals it blocks. Without that mask, handlers of signals that arrive together would
 * run in another order.
 */
static int set_shared(void)
{
	PA_ASSERT(state.handler && state.sigaction);
	const struct sigaction *program = &state.program;
	int flags = has_handler(program) ? program->sa_flags : SA_RESTART | SA_ONSTACK;
	struct sigaction action = { .sa_sigaction = state.handler };
	action.sa_flags = SA_SIGINFO | (flags & (SA_RESTART | SA_ONSTACK));
	if (has_handler(program))
		action.sa_mask = program->sa_mask;
	return state.sigaction(pa_record.signal, &action, NULL) == 0 ? 0 : -errno;
}

static int set_ours(void)
{
	PA_ASSERT(state.handler && state.sigaction);
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART };
	uint64_t mask;
	if (!pa_load_relaxed(&state.leaves))
		action.sa_flags |= SA_ONSTACK;
	action.sa_sigaction = state.handler;
	pa_quiet_fill(&action.sa_mask);
	/* Asynchronous cancellation must not end a thread while it writes an event. */
	memcpy(&mask, &action.sa_mask, sizeof(mask));
	mask |= SIGCANCEL_BIT;
	memcpy(&action.sa_mask, &mask, sizeof(mask));
	return state.sigaction(pa_record.signal, &action, NULL) == 0 ? 0 : -errno;
}

static void set_simple(sighandler_t handler)
{
	PA_ASSERT(state.sigaction);
	struct sigaction action = { .sa_handler = handler };
	state.sigaction(pa_record.signal, &action, NULL);
}

static int install_locked(void)
{
	if (pa_load_relaxed(&state.now) == SHARED)
		return -EADDRINUSE;
	if (pa_load_relaxed(&state.now) == OF_PROGRAM) {
		if (state.sigaction(pa_record.signal, NULL, &state.program) != 0)
			return -errno;
		pa_store_relaxed(&state.handled, is_meant_for_ours(&state.program));
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

void pa_disposition_share(void)
{
	int saved_errno = errno;
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	uint32_t now = pa_load_relaxed(&state.now);
	if (now != SHARED &&
		(now != OF_PROGRAM ||
			state.sigaction(pa_record.signal, NULL, &state.program) == 0)) {
		set_shared();
		pa_store_release(&state.now, SHARED);
	}
	pa_latch_leave(&state.lock, hold);
	errno = saved_errno;
}

bool pa_disposition_is_shared(void)
{
	return pa_load_acquire(&state.now) == SHARED;
}

/* sigaction(2): setting SIG_IGN discards the signals that are pending in any thread. */
void pa_disposition_drop_pending(void)
{
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	if (pa_load_relaxed(&state.now) == OURS) {
		set_simple(SIG_IGN);
		set_ours();
	}
	pa_latch_leave(&state.lock, hold);
}

/* By a raw system call where the program has never set the signal: libc would add the flag
 * SA_RESTORER. */
static void give_back_action(void)
{
	static const struct {
		unsigned long handler, flags, restorer, mask;
	} untouched; /* as rt_sigaction(2) has it: SIG_DFL */
	if (state.program.sa_handler == SIG_DFL && !state.program.sa_flags)
		pa_arch_syscall(SYS_rt_sigaction, pa_record.signal, (long)&untouched, 0,
			sizeof(untouched.mask));
	else
		state.sigaction(pa_record.signal, &state.program, NULL);
}

static void restore_locked(bool for_ever)
{
	PA_ASSERT(pa_load_relaxed(&state.now) == OURS || pa_load_relaxed(&state.now) == IGNORED);
	set_simple(SIG_IGN);
	if (for_ever && has_handler(&state.program))
		set_ours();
	else if (!for_ever && (has_handler(&state.program) || state.program.sa_handler != SIG_IGN))
		give_back_action();
	pa_store_release(&state.now, for_ever ? IGNORED : OF_PROGRAM);
}

void pa_disposition_restore(bool for_ever)
{
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	if (pa_load_relaxed(&state.now) == OURS)
		restore_locked(for_ever);
	pa_latch_leave(&state.lock, hold);
}

/* Stores the program's action for later: the agent's is installed. */
static void store_program_action(const struct sigaction *action, struct sigaction *old)
{
	PA_ASSERT(pa_load_relaxed(&state.now) != OF_PROGRAM);
	*old = state.program;
	if (action) {
		state.program = *action;
		sigdelset(&state.program.sa_mask, SIGKILL);
		sigdelset(&state.program.sa_mask, SIGSTOP);
		if (pa_load_relaxed(&state.now) == IGNORED)
			restore_locked(true);
		if (pa_load_relaxed(&state.now) == SHARED) {
			if (action->sa_handler == SIG_IGN)
				set_simple(SIG_IGN); /* discards pending signals, as sigaction(2)
						      * does without the agent */
			set_shared();
		}
	}
}

/* The kernel's action itself, in a process that may have inherited the agent's. */
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
	/* A vfork child has its own dispositions, and gets no signal of the agent. */
	if (syscall(SYS_getpid) != pa_record.pid)
		return change_kernels(action, old);
	/* The program's pointers may be invalid: copy outside of the lock. */
	struct sigaction wanted, had;
	if (action)
		wanted = *action;
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	int result = 0;
	if (pa_load_relaxed(&state.now) == OF_PROGRAM)
		result = change_kernels(action ? &wanted : NULL, &had);
	else
		store_program_action(action ? &wanted : NULL, &had);
	if (result == 0 && action)
		pa_store_relaxed(&state.handled, is_meant_for_ours(&wanted));
	pa_latch_leave(&state.lock, hold);
	if (result == 0 && old)
		*old = had;
	return result;
}

/* Ends the process as the kernel does: the default action of a real-time signal. */
static void end_process(int signal)
{
	uint64_t bit = (uint64_t)1 << (signal - 1);
	set_simple(SIG_DFL);
	/* The current ids: a child of _Fork(3) inherits the handler but not the cached ids. */
	long pid = pa_arch_syscall(SYS_getpid, 0, 0, 0, 0);
	long tid = pa_arch_syscall(SYS_gettid, 0, 0, 0, 0);
	pa_arch_syscall(SYS_tgkill, pid, tid, signal, 0);
	pa_arch_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&bit, 0, sizeof(bit));
}

/* Sets the mask that the kernel would set for the program's handler; in state SHARED most of it is
 * already set. */
static void set_mask(const struct sigaction *action, int signal, const ucontext_t *context)
{
	uint64_t mask, interrupted, bit = (uint64_t)1 << (signal - 1);
	memcpy(&mask, &action->sa_mask, sizeof(mask));
	memcpy(&interrupted, &context->uc_sigmask, sizeof(interrupted));
	if (pa_disposition_is_shared()) {
		pa_arch_syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&interrupted, sizeof(mask));
		interrupted &= ~bit;
	}
	mask |= interrupted;
	if (!(action->sa_flags & SA_NODEFER))
		mask |= bit;
	pa_arch_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof(mask));
}

bool pa_disposition_forward(int signal, siginfo_t *info, void *context)
{
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	struct sigaction action = state.program;
	if (has_handler(&action) && action.sa_flags & (int)SA_RESETHAND)
		state.program = (struct sigaction){ .sa_handler = SIG_DFL };
	pa_latch_leave(&state.lock, hold);
	if (!has_handler(&action)) {
		if (action.sa_handler == SIG_DFL)
			end_process(signal);
		return false;
	}
	set_mask(&action, signal, context);
	if (action.sa_flags & SA_SIGINFO)
		action.sa_sigaction(signal, info, context);
	else
		action.sa_handler(signal);
	return true;
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
	uint32_t now = pa_load_relaxed(&state.now);
	if (now == OURS || now == IGNORED)
		restore_locked(false);
}

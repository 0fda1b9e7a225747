/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signal masks: the agent's signal is removed from every mask that the program sets, so that it
 * reaches all threads, and masks are reported as the program set them. Temporary masks (sigsuspend,
 * ppoll, pselect, epoll_pwait) are unchanged: a signal that stays pending until such a call ends
 * interrupts no call.
 */
#include <errno.h>
#include <sys/syscall.h>

#include "../agent/arch/arch.h"
#include "../agent/record/altstack.h"
#include "../agent/record/disposition.h"
#include "../agent/record/switches.h"
#include "../agent/record/process.h"
#include "../agent/record/signal_handlers.h"
#include "../agent/record/thread.h"
#include "../agent/record/tick.h"
#include "signal_mask.h"
#include "real.h"

#include "../agent/base/banned.h"

bool pa_signal_mask_is_active(void)
{
	return pa_load_acquire(&pa_switches->booted) && pa_thread_self.role != PA_ROLE_AGENT;
}

/*
 * True when the set contains the agent's signal because it contains all (sigfillset etc.). A set
 * that contains it without its neighbours means it: the signal is the program's then, for good.
 */
static bool has_ours_with_all(const sigset_t *set)
{
	if (sigismember(set, pa_record.signal) != 1)
		return false;
	if (pa_disposition_has_neighbours(set))
		return !pa_signal_is_of_program();
	pa_signal_is_taken();
	return false;
}

static bool has_ours_alone(const sigset_t *set)
{
	for (int i = 1; i <= SIGRTMAX; i++)
		if ((sigismember(set, i) == 1) != (i == pa_record.signal))
			return false;
	return true;
}

/*
 * A program that blocks the signals one by one has reached the agent's when the three before it, or
 * after it, are blocked: it means all signals.
 */
static bool ends_row_of_blocks(const sigset_t *blocked)
{
	for (int step = -1; step <= 1; step += 2) {
		int number = pa_record.signal, count = 0;
		while (count < 3 && (number = pa_disposition_neighbour(number, step)) != 0 &&
			sigismember(blocked, number) == 1)
			count++;
		if (count == 3 || (count && !number))
			return true;
	}
	return false;
}

/* set without the agent's signal, if it is there because all signals are. */
const sigset_t *pa_signal_mask_strip(const sigset_t *set, sigset_t *copy)
{
	if (!set || !pa_signal_mask_is_active() || !has_ours_with_all(set))
		return set;
	*copy = *set;
	sigdelset(copy, pa_record.signal);
	pa_requeue_note_hidden();
	return copy;
}

/*
 * Restores the program's view of a mask that it reads: with both neighbours the agent's signal is
 * blocked, by the rule above. No state is kept, since masks also change outside of hooks: by
 * siglongjmp, setcontext, the end of a handler, exec.
 */
static void complete_mask(sigset_t *mask)
{
	if (!pa_signal_mask_is_active() || pa_signal_is_of_program())
		return;
	if (pa_disposition_has_neighbours(mask))
		sigaddset(mask, pa_record.signal);
	else
		sigdelset(mask, pa_record.signal); /* in a handler: spare_stack */
}

typedef int mask_fn(int, const sigset_t *, sigset_t *);

/* The same for a set that blocks the agent's signal as one of a row. False: it does not. */
static bool strip_row(mask_fn *real, int how, const sigset_t *set, sigset_t *copy)
{
	sigset_t blocked;
	if (how != SIG_BLOCK || !set || !pa_signal_mask_is_active() || !has_ours_alone(set) ||
		pa_signal_is_of_program() || real(SIG_BLOCK, NULL, &blocked) != 0 ||
		!ends_row_of_blocks(&blocked))
		return false;
	sigemptyset(copy);
	pa_requeue_note_hidden();
	return true;
}

/*
 * A change of the agent's signal without its neighbours, or of them without it, is intended.
 * Otherwise the mask is what the rule makes of it.
 */
static void note_settled(int how, const sigset_t *set, bool was_stripped)
{
	bool has = sigismember(set, pa_record.signal) == 1;
	if (was_stripped)
		pa_requeue_self.settled = false;
	else if (has != pa_disposition_has_neighbours(set) && (has || how != SIG_UNBLOCK))
		pa_requeue_self.settled = true;
}

void pa_signal_mask_settle(void)
{
	sigset_t mask;
	int saved_errno = errno;
	sigemptyset(&mask);
	if (pa_requeue_self.settled || !pa_disposition_is_shared() || !pa_signal_mask_is_active())
		return;
	if (PA_REAL(pthread_sigmask)(SIG_BLOCK, NULL, &mask) == 0 &&
		pa_disposition_has_neighbours(&mask) && sigismember(&mask, pa_record.signal) != 1) {
		sigemptyset(&mask);
		sigaddset(&mask, pa_record.signal);
		PA_REAL(pthread_sigmask)(SIG_BLOCK, &mask, NULL);
	}
	/* A vfork child has its own mask, and shares this memory with its parent. */
	pa_requeue_self.settled = syscall(SYS_getpid) == pa_record.pid;
	errno = saved_errno;
}

static int change_mask(mask_fn *real, int how, const sigset_t *set, sigset_t *old)
{
	PA_CALM_FLAGS();
	sigset_t copy;
	/* Unblocking keeps the signal in the set: it may have been blocked before boot. */
	const sigset_t *given = set;
	pa_signal_mask_settle();
	if (how != SIG_UNBLOCK && !strip_row(real, how, set, &copy))
		set = pa_signal_mask_strip(set, &copy);
	else if (how != SIG_UNBLOCK)
		set = &copy;
	int result = real(how, set, old);
	if (result == 0 && given && pa_signal_mask_is_active())
		note_settled(how, given, given != set);
	if (result == 0 && old)
		complete_mask(old);
	return result;
}

PA_ENTRY int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return change_mask(PA_REAL(sigprocmask), how, set, old);
}

PA_ENTRY int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return change_mask(PA_REAL(pthread_sigmask), how, set, old);
}

void pa_hooks_signal_boot(void)
{
	sigset_t mask, own;
	stack_t alternate = { .ss_flags = SS_DISABLE };
	pa_signal_boot(PA_REAL(sigaction), &pa_signal_handlers);
	sigemptyset(&mask);
	sigemptyset(&own);
	if (PA_REAL(sigaltstack)(NULL, &alternate) == 0)
		pa_altstack_set(&pa_thread_self, &alternate);
	if (PA_REAL(pthread_sigmask)(SIG_BLOCK, NULL, &mask) != 0 ||
		!pa_disposition_has_neighbours(&mask))
		return;
	/* A signal pending since before exec is the program's. */
	if (PA_REAL(sigpending)(&own) == 0 && sigismember(&own, pa_record.signal) == 1) {
		pa_signal_is_taken();
		return;
	}
	pa_requeue_note_hidden();
	sigemptyset(&own);
	sigaddset(&own, pa_record.signal);
	PA_REAL(pthread_sigmask)(SIG_UNBLOCK, &own, NULL);
}

/* The initial mask of a thread: libc sets it without calling the hooks. */

PA_ENTRY int pthread_attr_setsigmask_np(pthread_attr_t *attr, const sigset_t *set)
{
	PA_CALM_FLAGS();
	sigset_t copy;
	return PA_REAL(pthread_attr_setsigmask_np)(attr, pa_signal_mask_strip(set, &copy));
}

PA_ENTRY int pthread_attr_getsigmask_np(const pthread_attr_t *attr, sigset_t *set)
{
	PA_CALM_FLAGS();
	int result = PA_REAL(pthread_attr_getsigmask_np)(attr, set);
	if (result == 0)
		complete_mask(set);
	return result;
}

/*
 * The agent's signal could arrive in a handler that runs on an alternate stack: 8 KiB hardly have
 * room for two signal frames of 3 KiB each. It stays blocked until the handler ends.
 */
static const struct sigaction *spare_stack(const struct sigaction *action, struct sigaction *copy)
{
	if (!action || !(action->sa_flags & SA_ONSTACK) || pa_signal_is_of_program())
		return action;
	*copy = *action;
	sigaddset(&copy->sa_mask, pa_record.signal);
	return copy;
}

static int change_other_action(int signal, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction copy;
	int result = PA_REAL(sigaction)(signal, spare_stack(action, &copy), old);
	if (result == 0 && old && old->sa_flags & SA_ONSTACK)
		complete_mask(&old->sa_mask);
	return result;
}

/* The agent's signal must never be delivered on an alternate stack without room for its handler. */
PA_ENTRY int sigaltstack(const stack_t *stack, stack_t *old)
{
	PA_CALM_FLAGS();
	struct pa_thread *self = &pa_thread_self;
	stack_t had = { .ss_flags = SS_DISABLE };
	/* A vfork child has its own, and the table is its parent's. */
	if (!stack || !pa_signal_mask_is_active() || syscall(SYS_getpid) != pa_record.pid ||
		PA_REAL(sigaltstack)(NULL, &had) != 0)
		return PA_REAL(sigaltstack)(stack, old);
	bool had_small_altstack = pa_load_relaxed(&self->small_altstack);
	pa_altstack_set(self, stack);
	bool small_altstack = !(stack->ss_flags & SS_DISABLE) &&
		stack->ss_size < pa_signal_stack_bytes() && !pa_disposition_leaves_alternate();
	if (small_altstack) {
		int saved_errno = errno;
		pa_tick_thread_small_altstack(self);
		errno = saved_errno;
	}
	int result = PA_REAL(sigaltstack)(stack, old);
	if (result != 0)
		pa_altstack_set(self, &had);
	pa_store_relaxed(&self->small_altstack, result == 0 ? small_altstack : had_small_altstack);
	return result;
}

static int change_action(int signal, const struct sigaction *action, struct sigaction *old)
{
	if (!pa_signal_mask_is_active())
		return PA_REAL(sigaction)(signal, action, old);
	if (signal != pa_record.signal)
		return change_other_action(signal, action, old);
	return pa_disposition_change(action, old);
}

PA_ENTRY int sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
	PA_CALM_FLAGS();
	return change_action(signal, action, old);
}

/*
 * These call sigaction inside libc, which bypasses the hook: reimplemented by sigaction for the
 * agent's signal, libc's own for all others.
 */

static bool is_for_us(int number)
{
	return number == pa_record.signal && pa_signal_mask_is_active();
}

static sighandler_t set_handler(sighandler_t handler, int flags, bool masked)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags }, old;
	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (masked)
		sigaddset(&action.sa_mask, pa_record.signal);
	return pa_disposition_change(&action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

#define SIGNAL_LIKE(name, flags, masked)                             \
	PA_ENTRY sighandler_t name(int number, sighandler_t handler) \
	{                                                            \
		PA_CALM_FLAGS();                                     \
		if (!is_for_us(number))                              \
			return PA_REAL(name)(number, handler);       \
		return set_handler(handler, (flags), (masked));      \
	}

SIGNAL_LIKE(signal, SA_RESTART, true)
SIGNAL_LIKE(bsd_signal, SA_RESTART, true)
SIGNAL_LIKE(ssignal, SA_RESTART, true)
SIGNAL_LIKE(sysv_signal, (int)SA_RESETHAND | SA_NODEFER, false)
SIGNAL_LIKE(__sysv_signal, (int)SA_RESETHAND | SA_NODEFER, false)

/* signal() and sigaction() under their internal names. */
PA_ENTRY int __sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
	PA_CALM_FLAGS();
	return change_action(signal, action, old);
}

static int change_own_mask(int how, sigset_t *old)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, pa_record.signal);
	return change_mask(PA_REAL(sigprocmask), how, &set, old);
}

/* sigset(3): SIG_HOLD blocks the signal, any other disposition unblocks it. */
PA_ENTRY sighandler_t sigset(int number, sighandler_t handler)
{
	PA_CALM_FLAGS();
	sigset_t before;
	struct sigaction old;
	if (!is_for_us(number))
		return PA_REAL(sigset)(number, handler);
	if (handler == SIG_ERR)
		return set_handler(handler, 0, false);
	if (change_own_mask(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &before) != 0 ||
		pa_disposition_change(NULL, &old) != 0)
		return SIG_ERR;
	if (handler != SIG_HOLD && set_handler(handler, 0, false) == SIG_ERR)
		return SIG_ERR;
	return sigismember(&before, number) == 1 ? SIG_HOLD : old.sa_handler;
}

PA_ENTRY int sigignore(int number)
{
	PA_CALM_FLAGS();
	if (!is_for_us(number))
		return PA_REAL(sigignore)(number);
	return set_handler(SIG_IGN, 0, false) == SIG_ERR ? -1 : 0;
}

PA_ENTRY int sighold(int number)
{
	PA_CALM_FLAGS();
	return is_for_us(number) ? change_own_mask(SIG_BLOCK, NULL) : PA_REAL(sighold)(number);
}

PA_ENTRY int sigrelse(int number)
{
	PA_CALM_FLAGS();
	return is_for_us(number) ? change_own_mask(SIG_UNBLOCK, NULL) : PA_REAL(sigrelse)(number);
}

PA_ENTRY int siginterrupt(int number, int interrupts)
{
	PA_CALM_FLAGS();
	struct sigaction action;
	if (!is_for_us(number))
		return PA_REAL(siginterrupt)(number, interrupts);
	if (pa_disposition_change(NULL, &action) != 0)
		return -1;
	action.sa_flags = interrupts ? action.sa_flags & ~SA_RESTART : action.sa_flags | SA_RESTART;
	return pa_disposition_change(&action, NULL);
}

/* Pending instances of the agent's signal are not the program's. */
PA_ENTRY int sigpending(sigset_t *set)
{
	PA_CALM_FLAGS();
	pa_signal_mask_settle();
	int result = PA_REAL(sigpending)(set);
	if (result == 0 && pa_signal_mask_is_active() && pa_disposition_is_ours() &&
		!pa_signal_is_of_program())
		sigdelset(set, pa_record.signal);
	return result;
}

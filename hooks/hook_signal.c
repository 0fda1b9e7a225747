/*
 * Signal masks: our signal is left out of every mask that the program sets, so that it reaches
 * all threads, and reported back as the program set it. Temporary masks (sigsuspend, ppoll,
 * pselect, epoll_pwait) are left alone: one that waits until such a call is over interrupts
 * nobody.
 */
#include <errno.h>
#include <sys/syscall.h>

#include "../agent/record/altstack.h"
#include "../agent/record/disposition.h"
#include "../agent/record/on.h"
#include "../agent/record/process.h"
#include "../agent/record/signal.h"
#include "../agent/record/thread.h"
#include "../agent/record/tick.h"
#include "real.h"

#include "../agent/base/banned.h"

static bool is_active(void)
{
	return pa_load_acquire(&pa_on->booted) && pa_thread_self.role != PA_ROLE_AGENT;
}

/* The next signal below (step -1) or above that a mask can hold; of the last one the next but one
 * on the other side. */
static int neighbour(int step)
{
	int next = pa_disposition_neighbour(pa_record.signal, step);
	if (next)
		return next;
	return pa_disposition_neighbour(pa_disposition_neighbour(pa_record.signal, -step), -step);
}

static bool has_neighbours(const sigset_t *set)
{
	return sigismember(set, neighbour(-1)) == 1 && sigismember(set, neighbour(1)) == 1;
}

/*
 * True when the set has our signal because it has them all (sigfillset and the like). A set that
 * names it without its neighbours means it: the signal is the program's then, and stays so.
 */
static bool has_it_by_the_way(const sigset_t *set)
{
	if (sigismember(set, pa_record.signal) != 1)
		return false;
	if (has_neighbours(set))
		return !pa_signal_is_of_program();
	pa_signal_is_taken();
	return false;
}

static bool has_it_alone(const sigset_t *set)
{
	for (int i = 1; i <= SIGRTMAX; i++)
		if ((sigismember(set, i) == 1) != (i == pa_record.signal))
			return false;
	return true;
}

/*
 * A program that blocks the signals one by one has come to ours when the three before it, or behind
 * it, are blocked: it means all of them.
 */
static bool ends_a_row(const sigset_t *blocked)
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

/* set without our signal, if it is there by the way. */
static const sigset_t *strip(const sigset_t *set, sigset_t *copy)
{
	if (!set || !is_active() || !has_it_by_the_way(set))
		return set;
	*copy = *set;
	sigdelset(copy, pa_record.signal);
	return copy;
}

/*
 * What the program believes of a mask that it reads: with both neighbours goes our signal, by the
 * rule above. Nothing is kept for that, since masks also come back without us: from siglongjmp,
 * setcontext, the end of a handler, exec.
 */
static void complete(sigset_t *mask)
{
	if (!is_active() || pa_signal_is_of_program())
		return;
	if (has_neighbours(mask))
		sigaddset(mask, pa_record.signal);
	else
		sigdelset(mask, pa_record.signal); /* in a handler: spare_stack */
}

typedef int mask_fn(int, const sigset_t *, sigset_t *);

/* The same of a set that blocks our signal as one of a row. False: it does not. */
static bool strip_row(mask_fn *real, int how, const sigset_t *set, sigset_t *copy)
{
	sigset_t blocked;
	if (how != SIG_BLOCK || !set || !is_active() || !has_it_alone(set) ||
	    pa_signal_is_of_program() || real(SIG_BLOCK, NULL, &blocked) != 0 ||
	    !ends_a_row(&blocked))
		return false;
	sigemptyset(copy);
	return true;
}

static int change_mask(mask_fn *real, int how, const sigset_t *set, sigset_t *old)
{
	PA_CALM_FLAGS();
	sigset_t copy;
	/* Unblocking keeps the signal in the set: it may have been blocked before we came. */
	if (how != SIG_UNBLOCK && !strip_row(real, how, set, &copy))
		set = strip(set, &copy);
	else if (how != SIG_UNBLOCK)
		set = &copy;
	int result = real(how, set, old);
	if (result == 0 && old)
		complete(old);
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
	pa_signal_boot(PA_REAL(sigaction));
	sigemptyset(&mask);
	if (PA_REAL(sigaltstack)(NULL, &alternate) == 0)
		pa_altstack_set(&pa_thread_self, &alternate);
	if (PA_REAL(pthread_sigmask)(SIG_BLOCK, NULL, &mask) != 0 || !has_neighbours(&mask))
		return;
	sigemptyset(&own);
	sigaddset(&own, pa_record.signal);
	PA_REAL(pthread_sigmask)(SIG_UNBLOCK, &own, NULL);
}

/* The mask that a thread starts with: libc sets it without asking our hooks. */

PA_ENTRY int pthread_attr_setsigmask_np(pthread_attr_t *attr, const sigset_t *set)
{
	PA_CALM_FLAGS();
	sigset_t copy;
	return PA_REAL(pthread_attr_setsigmask_np)(attr, strip(set, &copy));
}

PA_ENTRY int pthread_attr_getsigmask_np(const pthread_attr_t *attr, sigset_t *set)
{
	PA_CALM_FLAGS();
	int result = PA_REAL(pthread_attr_getsigmask_np)(attr, set);
	if (result == 0)
		complete(set);
	return result;
}

/* Waiting for all signals must not swallow our signal. */

PA_ENTRY int sigwait(const sigset_t *set, int *signal)
{
	PA_CALM_FLAGS();
	sigset_t copy;
	return PA_REAL(sigwait)(strip(set, &copy), signal);
}

PA_ENTRY int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	PA_CALM_FLAGS();
	sigset_t copy;
	return PA_REAL(sigwaitinfo)(strip(set, &copy), info);
}

PA_ENTRY int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	PA_CALM_FLAGS();
	sigset_t copy;
	return PA_REAL(sigtimedwait)(strip(set, &copy), info, timeout);
}

PA_ENTRY int signalfd(int fd, const sigset_t *set, int flags)
{
	PA_CALM_FLAGS();
	sigset_t copy;
	return PA_REAL(signalfd)(fd, strip(set, &copy), flags);
}

/*
 * Our signal would come on top of a handler that runs on an alternate stack already: with 8 KiB,
 * and a signal frame of 3 KiB each, there is hardly room for both. It waits until that is over.
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
		complete(&old->sa_mask);
	return result;
}

/* An alternate stack that has no room for our handler must never see it. */
PA_ENTRY int sigaltstack(const stack_t *stack, stack_t *old)
{
	PA_CALM_FLAGS();
	struct pa_thread *self = &pa_thread_self;
	stack_t had = { .ss_flags = SS_DISABLE };
	/* A vfork child has one of its own, and what we keep is its parent's. */
	if (!stack || !is_active() || syscall(SYS_getpid) != pa_record.pid ||
	    PA_REAL(sigaltstack)(NULL, &had) != 0)
		return PA_REAL(sigaltstack)(stack, old);
	bool was_deaf = pa_load_relaxed(&self->deaf);
	pa_altstack_set(self, stack);
	bool deaf = !(stack->ss_flags & SS_DISABLE) && stack->ss_size < pa_signal_stack_bytes() &&
		!pa_disposition_leaves_alternate();
	if (deaf) {
		int saved_errno = errno;
		pa_tick_thread_deaf(self);
		errno = saved_errno;
	}
	int result = PA_REAL(sigaltstack)(stack, old);
	if (result != 0)
		pa_altstack_set(self, &had);
	pa_store_relaxed(&self->deaf, result == 0 ? deaf : was_deaf);
	return result;
}

static int change_action(int signal, const struct sigaction *action, struct sigaction *old)
{
	if (!is_active())
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
 * By way of sigaction inside libc, where our hook is not asked: for our signal they are made again
 * from it, for all others they are libc's.
 */

static bool is_for_us(int number)
{
	return number == pa_record.signal && is_active();
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

#define SIGNAL_LIKE(name, flags, masked)                                                          \
	PA_ENTRY sighandler_t name(int number, sighandler_t handler)                              \
	{                                                                                         \
		PA_CALM_FLAGS();                                                                  \
		if (!is_for_us(number))                                                           \
			return PA_REAL(name)(number, handler);                                    \
		return set_handler(handler, (flags), (masked));                                   \
	}

SIGNAL_LIKE(signal, SA_RESTART, true)
SIGNAL_LIKE(bsd_signal, SA_RESTART, true)
SIGNAL_LIKE(ssignal, SA_RESTART, true)
SIGNAL_LIKE(sysv_signal, (int)SA_RESETHAND | SA_NODEFER, false)
SIGNAL_LIKE(__sysv_signal, (int)SA_RESETHAND | SA_NODEFER, false)

/* signal() and sigaction() by their inner name. */
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

/* What is pending of ours is none of the program's. */
PA_ENTRY int sigpending(sigset_t *set)
{
	PA_CALM_FLAGS();
	int result = PA_REAL(sigpending)(set);
	if (result == 0 && is_active() && pa_disposition_is_ours() && !pa_signal_is_of_program())
		sigdelset(set, pa_record.signal);
	return result;
}

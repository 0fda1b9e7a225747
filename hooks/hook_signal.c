/*
 * Signal masks: our signal is left out of every mask that the program sets, so that it reaches
 * all threads, and reported back as the program set it. Temporary masks (sigsuspend, ppoll,
 * pselect, epoll_pwait) are left alone: one that waits until such a call is over interrupts
 * nobody.
 */
#include <errno.h>

#include "../agent/record/on.h"
#include "../agent/record/signal.h"
#include "../agent/record/thread.h"
#include "../agent/record/tick.h"
#include "real.h"

#include "../agent/base/banned.h"

static bool is_active(void)
{
	return pa_load_acquire(&pa_on->booted) && pa_thread_self.role != PA_ROLE_AGENT;
}

/* No mask of the kernel ever holds these. */
static bool is_never_blocked(int signal)
{
	return signal < 1 || signal > SIGRTMAX || signal == SIGKILL || signal == SIGSTOP ||
		(signal > SIGSYS && signal < SIGRTMIN); /* libc's own */
}

/* The next signal below (step -1) or above that a mask can hold; of the last one the next but one
 * on the other side. */
static int neighbour(int step)
{
	int signal = pa_record.signal + step;
	while (signal > 0 && signal <= SIGRTMAX && is_never_blocked(signal))
		signal += step;
	return is_never_blocked(signal) ? pa_record.signal - 2 * step : signal;
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

static int change_mask(mask_fn *real, int how, const sigset_t *set, sigset_t *old)
{
	PA_CALM_FLAGS();
	sigset_t copy;
	/* Unblocking keeps the signal in the set: it may have been blocked before we came. */
	const sigset_t *stripped = strip(set, &copy);
	int result = real(how, how == SIG_UNBLOCK ? set : stripped, old);
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
	if (!stack || !is_active())
		return PA_REAL(sigaltstack)(stack, old);
	bool was_deaf = pa_load_relaxed(&self->deaf);
	bool deaf = !(stack->ss_flags & SS_DISABLE) && stack->ss_size < pa_signal_stack_bytes();
	if (deaf) {
		int saved_errno = errno;
		pa_tick_thread_deaf(self);
		errno = saved_errno;
	}
	int result = PA_REAL(sigaltstack)(stack, old);
	pa_store_relaxed(&self->deaf, result == 0 ? deaf : was_deaf);
	return result;
}

static int change_action(int signal, const struct sigaction *action, struct sigaction *old)
{
	if (!is_active())
		return PA_REAL(sigaction)(signal, action, old);
	if (signal != pa_record.signal)
		return change_other_action(signal, action, old);
	int result = pa_signal_sigaction(action, old) ? 0 : PA_REAL(sigaction)(signal, action, old);
	if (result == 0 && action)
		pa_signal_is_handled(action->sa_flags & SA_SIGINFO ||
			(action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN));
	return result;
}

PA_ENTRY int sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
	PA_CALM_FLAGS();
	return change_action(signal, action, old);
}

/* By way of sigaction inside libc, where our hook is not asked. */
PA_ENTRY sighandler_t signal(int number, sighandler_t handler)
{
	PA_CALM_FLAGS();
	if (!is_active() || number != pa_record.signal || handler == SIG_ERR)
		return PA_REAL(signal)(number, handler);
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;
	sigaddset(&action.sa_mask, number);
	return change_action(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

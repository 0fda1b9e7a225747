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
#include "real.h"

#include "../agent/base/banned.h"

static bool is_active(void)
{
	return pa_load_acquire(&pa_on->booted) && pa_thread_self.role != PA_ROLE_AGENT;
}

/*
 * True when the set has our signal because it has them all (sigfillset and the like). A set that
 * names it without its neighbours means it: the signal is the program's then, and stays so.
 */
static bool has_it_by_the_way(const sigset_t *set)
{
	int signal = pa_record.signal;
	int neighbour = signal > SIGRTMIN ? signal - 1 : signal + 1;
	if (sigismember(set, signal) != 1)
		return false;
	if (sigismember(set, neighbour) == 1)
		return true;
	pa_signal_is_taken();
	return false;
}

/* set without our signal; *had says whether it was there. */
static const sigset_t *strip(const sigset_t *set, sigset_t *copy, bool *had)
{
	*had = false;
	if (!set || !is_active())
		return set;
	*had = has_it_by_the_way(set);
	if (!*had)
		return set;
	*copy = *set;
	sigdelset(copy, pa_record.signal);
	return copy;
}

/* What the program believes after it asked for how with our signal in the set or not. */
static void note_mask(int how, bool had)
{
	struct pa_thread *self = &pa_thread_self;
	if (how == SIG_SETMASK)
		self->masks_signal = had;
	else if (had)
		self->masks_signal = how == SIG_BLOCK;
}

typedef int mask_fn(int, const sigset_t *, sigset_t *);

static int change_mask(mask_fn *real, int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;
	bool had;
	bool was_masked = pa_thread_self.masks_signal;
	/* Unblocking keeps the signal in the set: it may have been blocked before we came. */
	const sigset_t *wanted = set;
	const sigset_t *stripped = strip(set, &copy, &had);
	if (how != SIG_UNBLOCK)
		wanted = stripped;
	int result = real(how, wanted, old);
	if (result != 0 || !is_active())
		return result;
	if (set)
		note_mask(how, had);
	if (old && was_masked)
		sigaddset(old, pa_record.signal);
	return result;
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return change_mask(PA_REAL(sigprocmask), how, set, old);
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return change_mask(PA_REAL(pthread_sigmask), how, set, old);
}

/* Waiting for all signals must not swallow our signal. */

int sigwait(const sigset_t *set, int *signal)
{
	sigset_t copy;
	bool had;
	return PA_REAL(sigwait)(strip(set, &copy, &had), signal);
}

int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	sigset_t copy;
	bool had;
	return PA_REAL(sigwaitinfo)(strip(set, &copy, &had), info);
}

int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	sigset_t copy;
	bool had;
	return PA_REAL(sigtimedwait)(strip(set, &copy, &had), info, timeout);
}

int signalfd(int fd, const sigset_t *set, int flags)
{
	sigset_t copy;
	bool had;
	return PA_REAL(signalfd)(fd, strip(set, &copy, &had), flags);
}

int sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
	if (is_active() && signal == pa_record.signal && pa_signal_sigaction(action, old))
		return 0;
	return PA_REAL(sigaction)(signal, action, old);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wait for all signals must not consume the agent's signal. Once it is the program's
 * (record/requeue.h), waits include it.
 */
#include <errno.h>
#include <string.h>

#include "../agent/base/atomic.h"
#include "../agent/record/disposition.h"
#include "../agent/record/switches.h"
#include "../agent/record/signal.h"
#include "signal_mask.h"
#include "real.h"

#include "../agent/base/banned.h"

/*
 * The set to wait for. The copy is published before the check of the disposition: the agent's
 * handler adds the signal to it when the disposition changes after the check.
 */
static const sigset_t *wait_for(const sigset_t *set)
{
	sigset_t *copy = &pa_requeue_self.waits;
	pa_signal_mask_settle();
	if (pa_signal_mask_strip(set, copy) == set)
		return set;
	pa_fence_full();
	if (!pa_disposition_is_shared())
		return copy;
	pa_signal_mask_settle();
	return set;
}

/* A handler of the program that interrupts a wait may wait itself. */
#define WAIT(call)                                      \
	do {                                            \
		PA_CALM_FLAGS();                        \
		sigset_t outer = pa_requeue_self.waits; \
		int result = call;                      \
		pa_requeue_self.waits = outer;          \
		return result;                          \
	} while (0)

PA_ENTRY int sigwait(const sigset_t *set, int *signal)
{
	WAIT(PA_REAL(sigwait)(wait_for(set), signal));
}

PA_ENTRY int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	WAIT(PA_REAL(sigwaitinfo)(wait_for(set), info));
}

PA_ENTRY int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	WAIT(PA_REAL(sigtimedwait)(wait_for(set), info, timeout));
}

/* ---- signalfd ---- */

/* Descriptors whose set was stripped; further ones, or duplicates of a closed one, stay without the
 * agent's signal. */
#define FDS 16u

static struct {
	PA_ATOMIC(uint32_t) next;       /* relaxed */
	PA_ATOMIC(int32_t) fds[FDS];    /* descriptor + 1; 0 none. release / acquire */
	PA_ATOMIC(uint64_t) masks[FDS]; /* relaxed, before fds */
} stripped;

static void remember_mask(int fd, const sigset_t *set)
{
	uint64_t mask;
	memcpy(&mask, set, sizeof(mask));
	uint32_t at = pa_add_relaxed(&stripped.next, 1) % FDS;
	pa_store_relaxed(&stripped.masks[at], mask);
	pa_store_release(&stripped.fds[at], fd + 1);
}

static void forget_mask(int fd)
{
	for (uint32_t i = 0; i < FDS; i++)
		if (pa_load_relaxed(&stripped.fds[i]) == fd + 1)
			pa_store_relaxed(&stripped.fds[i], 0);
}

/* signalfd(2) fails with EINVAL for a descriptor that is another file by now. */
void pa_signal_mask_widen_signalfds(void)
{
	int saved_errno = errno;
	for (uint32_t i = 0; i < FDS; i++) {
		int fd = pa_swap_acq_rel(&stripped.fds[i], 0) - 1;
		uint64_t mask = pa_load_relaxed(&stripped.masks[i]);
		sigset_t set;
		memset(&set, 0, sizeof(set));
		memcpy(&set, &mask, sizeof(mask));
		if (fd >= 0)
			PA_REAL(signalfd)(fd, &set, 0);
	}
	errno = saved_errno;
}

PA_ENTRY int signalfd(int fd, const sigset_t *set, int flags)
{
	PA_CALM_FLAGS();
	sigset_t copy;
	pa_signal_mask_settle();
	const sigset_t *given = pa_signal_mask_strip(set, &copy);
	int result = PA_REAL(signalfd)(fd, given, flags);
	if (result < 0 || !pa_signal_mask_is_active())
		return result;
	forget_mask(result);
	if (given == set)
		return result;
	remember_mask(result, set);
	pa_fence_full();
	if (pa_disposition_is_shared())
		pa_signal_mask_widen_signalfds();
	return result;
}

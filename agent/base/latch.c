/* SPDX-License-Identifier: Apache-2.0 */
#include "latch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "lock.h"
#include "quiet.h"

enum { FREE, HELD, WAITED };

#define TIMEOUT_NS (100 * PA_NS_PER_MS)

/* A raw system call, which also blocks glibc's signals for cancellation and setuid (nptl(7)): a
 * thread cancelled here would leave the latch held. */
static uint64_t block_signals(void)
{
	const uint64_t of_libc = (uint64_t)3 << 31;
	uint64_t all, before = 0;
	sigset_t set;
	pa_quiet_fill(&set);
	memcpy(&all, &set, sizeof(all));
	all |= of_libc;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
	return before;
}

/* Ends when the holder leaves, or after TIMEOUT_NS. */
static bool take_latch_slow(struct pa_latch *latch)
{
	int64_t end_ns = pa_clock_mono_ns() + TIMEOUT_NS;
	while (pa_swap_acq_rel(&latch->word, WAITED) != FREE) {
		int64_t left_ns = end_ns - pa_clock_mono_ns();
		if (left_ns <= 0)
			return false;
		pa_futex_wait(&latch->word, WAITED, left_ns);
	}
	return true;
}

PA_SIGNAL struct pa_latch_hold pa_latch_enter(struct pa_latch *latch)
{
	int saved_errno = errno;
	uint32_t expected = FREE;
	struct pa_latch_hold hold = { .mask = block_signals() };
	hold.held = pa_cas_acq_rel(&latch->word, &expected, HELD) || take_latch_slow(latch);
	errno = saved_errno;
	return hold;
}

PA_SIGNAL void pa_latch_leave(struct pa_latch *latch, struct pa_latch_hold hold)
{
	int saved_errno = errno;
	/* A caller that went on after the timeout frees the latch too: its holder will not
	 * return. */
	if (pa_swap_acq_rel(&latch->word, FREE) == WAITED)
		pa_futex_wake(&latch->word, 1);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &hold.mask, NULL, sizeof(hold.mask));
	errno = saved_errno;
}

PA_BOOT void pa_latch_reset(struct pa_latch *latch)
{
	pa_reset(&latch->word, FREE);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "start_time.h"

#include <sys/syscall.h>
#include <time.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "record/sandbox.h"
#include "record/thread.h"

/* By a system call, where no filter denies it: through libc, each start of a program that asks for
 * no time, and each of its forked children, would read three pages of libc and of the vDSO. */
static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	if (!pa_sandbox_may(&pa_thread_self, PA_CALLS_TIMER) ||
		pa_arch_syscall(SYS_clock_gettime, clock, (long)&now, 0, 0) != 0)
		return pa_clock_ns(clock);
	return now.tv_sec * PA_NS_PER_S + now.tv_nsec;
}

void pa_start_time_note(struct pa_bridge *bridge, int64_t delay_ns)
{
	bridge->start_wall_ns = clock_ns(CLOCK_REALTIME);
	bridge->start_mono_ns = clock_ns(CLOCK_MONOTONIC);
	bridge->serve_from_ns = bridge->start_mono_ns + delay_ns;
}

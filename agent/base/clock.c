/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <errno.h>

static struct {
	int (*read)(clockid_t id, struct timespec *now); /* written at boot only */
} state = { .read = clock_gettime };

PA_BOOT void pa_clock_use(int (*own)(clockid_t id, struct timespec *now))
{
	state.read = own;
}

/* Fails only where there is no such clock, or a sandbox denies its system call; the result is then
 * 0. */
PA_SIGNAL int64_t pa_clock_ns(clockid_t id)
{
	int saved = errno;
	struct timespec now;

	if (pa_unlikely(state.read(id, &now) != 0)) {
		errno = saved;
		return 0;
	}
	return now.tv_sec * PA_NS_PER_S + now.tv_nsec;
}

PA_SIGNAL int64_t pa_clock_mono_ns(void)
{
	return pa_clock_ns(CLOCK_MONOTONIC);
}

PA_SIGNAL int64_t pa_clock_wall_ns(void)
{
	return pa_clock_ns(CLOCK_REALTIME);
}

PA_SIGNAL int64_t pa_clock_thread_cpu_ns(void)
{
	return pa_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

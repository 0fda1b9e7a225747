/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <errno.h>
#include <sys/syscall.h>

#include "../arch/arch.h"
#include "atomic.h"

typedef int read_clock(clockid_t id, struct timespec *now);

static struct {
	PA_ATOMIC(read_clock *) read; /* written at boot and by use_calls; release / acquire */
	bool (*allowed)(void);        /* before read */
} state = { .read = clock_gettime };

PA_BOOT void pa_clock_use(int (*own)(clockid_t id, struct timespec *now))
{
	pa_store_release(&state.read, own);
}

static PA_SIGNAL int read_by_call(clockid_t id, struct timespec *now)
{
	return state.allowed() ? (int)pa_arch_syscall(SYS_clock_gettime, id, (long)now, 0, 0) : -1;
}

PA_SIGNAL void pa_clock_use_calls(bool (*allowed)(void))
{
	state.allowed = allowed;
	pa_store_release(&state.read, read_by_call);
}

PA_SIGNAL bool pa_clock_uses_calls(void)
{
	return pa_load_acquire(&state.read) == read_by_call;
}

PA_SIGNAL int pa_clock_read(clockid_t id, struct timespec *now)
{
	return pa_load_acquire(&state.read)(id, now);
}

/* Fails only where there is no such clock, or a sandbox denies its system call; the result is then
 * 0. */
PA_SIGNAL int64_t pa_clock_ns(clockid_t id)
{
	int saved = errno;
	struct timespec now;

	if (pa_unlikely(pa_clock_read(id, &now) != 0)) {
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

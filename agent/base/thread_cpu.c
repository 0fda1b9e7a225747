/* SPDX-License-Identifier: Apache-2.0 */
#include "thread_cpu.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The system call, because a library that fakes the time may interpose libc's function. */
PA_API int64_t pa_thread_cpu_ns(pid_t tid)
{
	/* CPUCLOCK_SCHED of one thread, by its tid: what pthread_getcpuclockid(3) returns. */
	const unsigned per_thread = 4, sched = 2;
	const clockid_t id = (clockid_t)(~(unsigned)tid << 3 | per_thread | sched);
	int saved = errno;
	struct timespec now = { 0 };

	if (syscall(SYS_clock_gettime, id, &now) != 0)
		errno = saved;
	return now.tv_sec * PA_NS_PER_S + now.tv_nsec;
}

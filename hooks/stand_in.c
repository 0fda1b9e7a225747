/* SPDX-License-Identifier: Apache-2.0 */
#include "stand_in.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>

#include "../agent/arch/arch.h"
#include "../agent/base/libc.h"

#include "../agent/base/banned.h"

/* The real functions, once they are known. */
static const struct pa_real *real;

/* ---- deadlines on a clock: glibc 2.30, pthread_clockjoin_np 2.31 ---- */

/* The same moment on another clock. A clock that is set meanwhile moves it. An invalid time stays:
 * whether it matters depends on the state of the lock. */
static struct timespec moment_on(clockid_t other, clockid_t clock, const struct timespec *end)
{
	struct timespec now, moment;
	if (clock == other || end->tv_nsec < 0 || end->tv_nsec >= PA_NS_PER_S)
		return *end;
	clock_gettime(clock, &now);
	clock_gettime(other, &moment);
	moment.tv_sec += end->tv_sec - now.tv_sec;
	moment.tv_nsec += end->tv_nsec - now.tv_nsec;
	if (moment.tv_nsec < 0) {
		moment.tv_nsec += PA_NS_PER_S;
		moment.tv_sec--;
	} else if (moment.tv_nsec >= PA_NS_PER_S) {
		moment.tv_nsec -= PA_NS_PER_S;
		moment.tv_sec++;
	}
	return moment;
}

static bool is_known_clock(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC;
}

static int mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *end)
{
	if (!is_known_clock(clock))
		return EINVAL;
	struct timespec wall = moment_on(CLOCK_REALTIME, clock, end);
	return real->pthread_mutex_timedlock(mutex, &wall);
}

static int rwlock_clockrdlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *end)
{
	if (!is_known_clock(clock))
		return EINVAL;
	struct timespec wall = moment_on(CLOCK_REALTIME, clock, end);
	return real->pthread_rwlock_timedrdlock(lock, &wall);
}

static int rwlock_clockwrlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *end)
{
	if (!is_known_clock(clock))
		return EINVAL;
	struct timespec wall = moment_on(CLOCK_REALTIME, clock, end);
	return real->pthread_rwlock_timedwrlock(lock, &wall);
}

static int cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
	const struct timespec *end)
{
	if (!is_known_clock(clock))
		return EINVAL;
	struct timespec moment = moment_on(pa_libc_cond_clock(cond), clock, end);
	return real->pthread_cond_timedwait(cond, mutex, &moment);
}

static int wait_for_semaphore(sem_t *semaphore, clockid_t clock, const struct timespec *end)
{
	if (!is_known_clock(clock)) {
		errno = EINVAL;
		return -1;
	}
	struct timespec wall = moment_on(CLOCK_REALTIME, clock, end);
	return real->sem_timedwait(semaphore, &wall);
}

static int join_until(pthread_t thread, void **result, clockid_t clock, const struct timespec *end)
{
	if (!is_known_clock(clock))
		return EINVAL;
	if (!end)
		return real->pthread_join(thread, result);
	struct timespec wall = moment_on(CLOCK_REALTIME, clock, end);
	return real->pthread_timedjoin_np(thread, result, &wall);
}

/* ---- processes and signals ---- */

/* glibc 2.30 */
static int thread_kill(pid_t pid, pid_t tid, int signal_number)
{
	long result = pa_arch_syscall(SYS_tgkill, pid, tid, signal_number, 0);
	if (result < 0)
		errno = (int)-result;
	return result < 0 ? -1 : 0;
}

/* glibc 2.34. Its child may make async-signal-safe calls only: none that uses what libc remembers
 * of the process. */
static pid_t fork_alone(void)
{
	long result = pa_arch_syscall6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
	if (result < 0)
		errno = (int)-result;
	return result < 0 ? -1 : (pid_t)result;
}

/* glibc 2.32. An older one cannot keep a mask in an attribute. */
static int set_no_mask(pthread_attr_t *attr, const sigset_t *set)
{
	(void)attr;
	return set ? ENOSYS : 0;
}

static int get_no_mask(const pthread_attr_t *attr, sigset_t *set)
{
	(void)attr;
	*set = (sigset_t){ 0 };
	return PTHREAD_ATTR_NO_SIGMASK_NP;
}

void pa_stand_in_fill(struct pa_real *found, const struct pa_real *known)
{
	real = known;
#define FILL(name, stand_in) \
	if (!found->name)    \
		found->name = stand_in;
	FILL(pthread_mutex_clocklock, mutex_clocklock)
	FILL(pthread_rwlock_clockrdlock, rwlock_clockrdlock)
	FILL(pthread_rwlock_clockwrlock, rwlock_clockwrlock)
	FILL(pthread_cond_clockwait, cond_clockwait)
	FILL(sem_clockwait, wait_for_semaphore)
	FILL(pthread_clockjoin_np, join_until)
	FILL(tgkill, thread_kill)
	FILL(_Fork, fork_alone)
	FILL(pthread_attr_setsigmask_np, set_no_mask)
	FILL(pthread_attr_getsigmask_np, get_no_mask)
#undef FILL
}

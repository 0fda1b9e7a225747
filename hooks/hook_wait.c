/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Semaphores, barriers, and the end of other threads.
 */
#include "../agent/arch/arch.h"
#include "wait_hooks.h"

#include "../agent/base/banned.h"

PA_DEFINE_TARGETS(pa_sem_targets, PA_SEM_HOOKS);

/* ---- semaphores ---- */

static enum pa_wait_end end_of_sem(int result)
{
	if (result == 0)
		return PA_WAIT_GOT;
	return errno == EINTR || errno == ETIMEDOUT ? PA_WAIT_GAVE_UP : PA_WAIT_REFUSED;
}

/*
 * True when the semaphore is available: the real function will then hardly wait. Only reads, since
 * some of these calls are cancellation points before they decrement, and some are not.
 */
static bool is_available(sem_t *sem)
{
	int value;
	return sem_getvalue(sem, &value) == 0 && value > 0;
}

int sem_wait(sem_t *sem)
{
	return pa_sem_targets.sem_wait(sem);
}

static PA_SLOW int sem_wait_slow(sem_t *sem)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_SEM, sem, pa_real.sem_wait(sem), end_of_sem);
}

int pa_wait_hooks_sem_wait(sem_t *sem)
{
	if (!pa_wait_hooks_is_on() || is_available(sem))
		return PA_REAL(sem_wait)(sem);
	return sem_wait_slow(sem);
}

int sem_timedwait(sem_t *sem, const struct timespec *end)
{
	return pa_sem_targets.sem_timedwait(sem, end);
}

static PA_SLOW int sem_timedwait_slow(sem_t *sem, const struct timespec *end)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_SEM, sem, pa_real.sem_timedwait(sem, end), end_of_sem);
}

int pa_wait_hooks_sem_timedwait(sem_t *sem, const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || is_available(sem))
		return PA_REAL(sem_timedwait)(sem, end);
	return sem_timedwait_slow(sem, end);
}

int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *end)
{
	return pa_sem_targets.sem_clockwait(sem, clock, end);
}

static PA_SLOW int sem_clockwait_slow(sem_t *sem, clockid_t clock, const struct timespec *end)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_SEM, sem, pa_real.sem_clockwait(sem, clock, end), end_of_sem);
}

int pa_wait_hooks_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || is_available(sem))
		return PA_REAL(sem_clockwait)(sem, clock, end);
	return sem_clockwait_slow(sem, clock, end);
}

PA_WAKE_HOOK(pa_sem_targets, sem_post, sem_t)

/* ---- barriers ---- */

/* The last thread to arrive does not wait, and gets PTHREAD_BARRIER_SERIAL_THREAD. */
static enum pa_wait_end end_of_barrier(int result)
{
	return result == 0 ? PA_WAIT_GOT : PA_WAIT_REFUSED;
}

int pthread_barrier_wait(pthread_barrier_t *barrier)
{
	return pa_sem_targets.pthread_barrier_wait(barrier);
}

static PA_SLOW int barrier_wait_slow(pthread_barrier_t *barrier)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_BARRIER, barrier, pa_real.pthread_barrier_wait(barrier),
		end_of_barrier);
}

int pa_wait_hooks_pthread_barrier_wait(pthread_barrier_t *barrier)
{
	if (!pa_wait_hooks_is_on())
		return PA_REAL(pthread_barrier_wait)(barrier);
	return barrier_wait_slow(barrier);
}

/* ---- other threads ---- */

int pthread_join(pthread_t thread, void **result)
{
	return pa_sem_targets.pthread_join(thread, result);
}

static PA_SLOW int join_slow(pthread_t thread, void **result_of)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_JOIN, (const void *)thread,
		pa_real.pthread_join(thread, result_of), pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_join(pthread_t thread, void **result)
{
	if (!pa_wait_hooks_is_on())
		return PA_REAL(pthread_join)(thread, result);
	int error = pa_real.pthread_tryjoin_np(thread, result);
	return error != EBUSY ? error : join_slow(thread, result);
}

int pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *end)
{
	return pa_sem_targets.pthread_timedjoin_np(thread, result, end);
}

static PA_SLOW int timedjoin_slow(pthread_t thread, void **result_of, const struct timespec *end)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_JOIN, (const void *)thread,
		pa_real.pthread_timedjoin_np(thread, result_of, end), pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || !pa_wait_hooks_is_time(end))
		return PA_REAL(pthread_timedjoin_np)(thread, result, end);
	int error = pa_real.pthread_tryjoin_np(thread, result);
	return error != EBUSY ? error : timedjoin_slow(thread, result, end);
}

int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock,
	const struct timespec *end)
{
	return pa_sem_targets.pthread_clockjoin_np(thread, result, clock, end);
}

static PA_SLOW int clockjoin_slow(pthread_t thread, void **result_of, clockid_t clock,
	const struct timespec *end)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_JOIN, (const void *)thread,
		pa_real.pthread_clockjoin_np(thread, result_of, clock, end), pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock,
	const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || !pa_wait_hooks_is_clock(clock, end))
		return PA_REAL(pthread_clockjoin_np)(thread, result, clock, end);
	int error = pa_real.pthread_tryjoin_np(thread, result);
	return error != EBUSY ? error : clockjoin_slow(thread, result, clock, end);
}

int thrd_join(thrd_t thread, int *result)
{
	return pa_sem_targets.thrd_join(thread, result);
}

static PA_SLOW int thrd_join_slow(thrd_t thread, int *result_of)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_JOIN, (const void *)thread,
		pa_real.thrd_join(thread, result_of), pa_wait_hooks_end_of_c11);
}

int pa_wait_hooks_thrd_join(thrd_t thread, int *result)
{
	if (!pa_wait_hooks_is_on())
		return PA_REAL(thrd_join)(thread, result);
	return thrd_join_slow(thread, result);
}

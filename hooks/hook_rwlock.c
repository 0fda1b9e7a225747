/* SPDX-License-Identifier: Apache-2.0 */
/* Read-write locks: as mutexes; of several readers the last one is charged with a writer's wait. */
#include "../agent/arch/arch.h"
#include "../agent/base/libc.h"
#include "wait_hooks.h"

#include "../agent/base/banned.h"

PA_DEFINE_TARGETS(pa_rwlock_targets, PA_RWLOCK_HOOKS);

/* ---- readers ---- */

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	return pa_rwlock_targets.pthread_rwlock_rdlock(lock);
}

static PA_SLOW int rdlock_slow(pthread_rwlock_t *lock)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_RDLOCK, lock, pa_real.pthread_rwlock_rdlock(lock),
		pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	if (!pa_wait_hooks_is_on())
		return PA_REAL(pthread_rwlock_rdlock)(lock);
	int error = pa_real.pthread_rwlock_tryrdlock(lock);
	return pa_likely(error != EBUSY) ? error : rdlock_slow(lock);
}

int pthread_rwlock_timedrdlock(pthread_rwlock_t *lock, const struct timespec *end)
{
	return pa_rwlock_targets.pthread_rwlock_timedrdlock(lock, end);
}

static PA_SLOW int timedrdlock_slow(pthread_rwlock_t *lock, const struct timespec *end)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_RDLOCK, lock, pa_real.pthread_rwlock_timedrdlock(lock, end),
		pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_rwlock_timedrdlock(pthread_rwlock_t *lock, const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || !pa_wait_hooks_is_time(end))
		return PA_REAL(pthread_rwlock_timedrdlock)(lock, end);
	int error = pa_real.pthread_rwlock_tryrdlock(lock);
	return pa_likely(error != EBUSY) ? error : timedrdlock_slow(lock, end);
}

int pthread_rwlock_clockrdlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *end)
{
	return pa_rwlock_targets.pthread_rwlock_clockrdlock(lock, clock, end);
}

static PA_SLOW int clockrdlock_slow(pthread_rwlock_t *lock, clockid_t clock,
	const struct timespec *end)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_RDLOCK, lock,
		pa_real.pthread_rwlock_clockrdlock(lock, clock, end), pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_rwlock_clockrdlock(pthread_rwlock_t *lock, clockid_t clock,
	const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || !pa_wait_hooks_is_clock(clock, end))
		return PA_REAL(pthread_rwlock_clockrdlock)(lock, clock, end);
	int error = pa_real.pthread_rwlock_tryrdlock(lock);
	return pa_likely(error != EBUSY) ? error : clockrdlock_slow(lock, clock, end);
}

/* ---- writers ---- */

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	return pa_rwlock_targets.pthread_rwlock_wrlock(lock);
}

static PA_SLOW int wrlock_slow(pthread_rwlock_t *lock)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_WRLOCK, lock, pa_real.pthread_rwlock_wrlock(lock),
		pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	if (!pa_wait_hooks_is_on())
		return PA_REAL(pthread_rwlock_wrlock)(lock);
	int error = pa_real.pthread_rwlock_trywrlock(lock);
	return pa_likely(error != EBUSY) ? error : wrlock_slow(lock);
}

int pthread_rwlock_timedwrlock(pthread_rwlock_t *lock, const struct timespec *end)
{
	return pa_rwlock_targets.pthread_rwlock_timedwrlock(lock, end);
}

static PA_SLOW int timedwrlock_slow(pthread_rwlock_t *lock, const struct timespec *end)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_WRLOCK, lock, pa_real.pthread_rwlock_timedwrlock(lock, end),
		pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_rwlock_timedwrlock(pthread_rwlock_t *lock, const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || !pa_wait_hooks_is_time(end))
		return PA_REAL(pthread_rwlock_timedwrlock)(lock, end);
	int error = pa_real.pthread_rwlock_trywrlock(lock);
	return pa_likely(error != EBUSY) ? error : timedwrlock_slow(lock, end);
}

int pthread_rwlock_clockwrlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *end)
{
	return pa_rwlock_targets.pthread_rwlock_clockwrlock(lock, clock, end);
}

static PA_SLOW int clockwrlock_slow(pthread_rwlock_t *lock, clockid_t clock,
	const struct timespec *end)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_WRLOCK, lock,
		pa_real.pthread_rwlock_clockwrlock(lock, clock, end), pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_rwlock_clockwrlock(pthread_rwlock_t *lock, clockid_t clock,
	const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || !pa_wait_hooks_is_clock(clock, end))
		return PA_REAL(pthread_rwlock_clockwrlock)(lock, clock, end);
	int error = pa_real.pthread_rwlock_trywrlock(lock);
	return pa_likely(error != EBUSY) ? error : clockwrlock_slow(lock, clock, end);
}

/* ---- both ---- */

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	return pa_rwlock_targets.pthread_rwlock_unlock(lock);
}

static PA_SLOW int unlock_rwlock_slow(pthread_rwlock_t *lock)
{
	PA_WAIT_HOOKS_WATCH_UNLOCK(lock, pa_libc_rwlock_would_open(lock),
		PA_REAL(pthread_rwlock_unlock)(lock));
}

int pa_wait_hooks_pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	if (pa_likely(!pa_wait_hooks_is_waited(lock)))
		return PA_REAL(pthread_rwlock_unlock)(lock);
	return unlock_rwlock_slow(lock);
}

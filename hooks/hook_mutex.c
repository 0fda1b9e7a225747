/* SPDX-License-Identifier: Apache-2.0 */
/* Mutexes and spin locks: waits, and the critical sections that caused them. */
#include "../agent/arch/arch.h"
#include "../agent/base/libc.h"
#include "../agent/record/registry.h"
#include "wait_hooks.h"

#include "../agent/base/banned.h"

PA_DEFINE_TARGETS(pa_mutex_targets, PA_MUTEX_HOOKS);

/* ---- pthread_mutex_t ---- */

/* EBUSY: the call will have to wait. Other values: the result of the call. PA_UNKNOWN: the call has
 * to be made, and will hardly wait. */
#define PA_UNKNOWN (-1)
static int try_mutex(pthread_mutex_t *mutex)
{
	if (pa_likely(!pa_libc_mutex_is_robust(mutex)))
		return pa_real.pthread_mutex_trylock(mutex);
	return pa_libc_mutex_is_taken(mutex, pa_registry_tid(&pa_thread_self)) ? EBUSY : PA_UNKNOWN;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	return pa_mutex_targets.pthread_mutex_lock(mutex);
}

static PA_SLOW int lock_slow(pthread_mutex_t *mutex)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_MUTEX, mutex, pa_real.pthread_mutex_lock(mutex),
		pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (!pa_wait_hooks_is_on())
		return PA_REAL(pthread_mutex_lock)(mutex);
	int error = try_mutex(mutex);
	if (pa_unlikely(error == PA_UNKNOWN))
		return pa_real.pthread_mutex_lock(mutex);
	return pa_likely(error != EBUSY) ? error : lock_slow(mutex);
}

int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *end)
{
	return pa_mutex_targets.pthread_mutex_timedlock(mutex, end);
}

static PA_SLOW int timedlock_slow(pthread_mutex_t *mutex, const struct timespec *end)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_MUTEX, mutex, pa_real.pthread_mutex_timedlock(mutex, end),
		pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || !pa_wait_hooks_is_time(end))
		return PA_REAL(pthread_mutex_timedlock)(mutex, end);
	int error = try_mutex(mutex);
	if (pa_unlikely(error == PA_UNKNOWN))
		return pa_real.pthread_mutex_timedlock(mutex, end);
	return pa_likely(error != EBUSY) ? error : timedlock_slow(mutex, end);
}

int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *end)
{
	return pa_mutex_targets.pthread_mutex_clocklock(mutex, clock, end);
}

static PA_SLOW int clocklock_slow(pthread_mutex_t *mutex, clockid_t clock,
	const struct timespec *end)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_MUTEX, mutex,
		pa_real.pthread_mutex_clocklock(mutex, clock, end), pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
	const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || !pa_wait_hooks_is_clock(clock, end))
		return PA_REAL(pthread_mutex_clocklock)(mutex, clock, end);
	int error = try_mutex(mutex);
	if (pa_unlikely(error == PA_UNKNOWN))
		return pa_real.pthread_mutex_clocklock(mutex, clock, end);
	return pa_likely(error != EBUSY) ? error : clocklock_slow(mutex, clock, end);
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	return pa_mutex_targets.pthread_mutex_unlock(mutex);
}

static PA_SLOW int unlock_mutex_slow(pthread_mutex_t *mutex)
{
	PA_WAIT_HOOKS_WATCH_UNLOCK(mutex,
		pa_libc_mutex_would_open(mutex, pa_registry_tid(&pa_thread_self)),
		PA_REAL(pthread_mutex_unlock)(mutex));
}

int pa_wait_hooks_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	if (pa_likely(!pa_wait_hooks_is_waited(mutex)))
		return PA_REAL(pthread_mutex_unlock)(mutex);
	return unlock_mutex_slow(mutex);
}

/* ---- mtx_t: libc's functions do not call those of pthread_mutex_t, which it is ---- */

static pthread_mutex_t *mutex_of(mtx_t *mtx)
{
	return (pthread_mutex_t *)mtx;
}

int mtx_lock(mtx_t *mtx)
{
	return pa_mutex_targets.mtx_lock(mtx);
}

static PA_SLOW int mtx_lock_slow(mtx_t *mtx)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_MUTEX, mtx, pa_real.mtx_lock(mtx), pa_wait_hooks_end_of_c11);
}

int pa_wait_hooks_mtx_lock(mtx_t *mtx)
{
	if (!pa_wait_hooks_is_on())
		return PA_REAL(mtx_lock)(mtx);
	int result = pa_real.mtx_trylock(mtx);
	return pa_likely(result != thrd_busy) ? result : mtx_lock_slow(mtx);
}

int mtx_timedlock(mtx_t *mtx, const struct timespec *end)
{
	return pa_mutex_targets.mtx_timedlock(mtx, end);
}

static PA_SLOW int mtx_timedlock_slow(mtx_t *mtx, const struct timespec *end)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_MUTEX, mtx, pa_real.mtx_timedlock(mtx, end),
		pa_wait_hooks_end_of_c11);
}

int pa_wait_hooks_mtx_timedlock(mtx_t *mtx, const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || !pa_wait_hooks_is_time(end))
		return PA_REAL(mtx_timedlock)(mtx, end);
	int result = pa_real.mtx_trylock(mtx);
	return pa_likely(result != thrd_busy) ? result : mtx_timedlock_slow(mtx, end);
}

int mtx_unlock(mtx_t *mtx)
{
	return pa_mutex_targets.mtx_unlock(mtx);
}

static PA_SLOW int mtx_unlock_slow(mtx_t *mtx)
{
	PA_WAIT_HOOKS_WATCH_UNLOCK(mtx,
		pa_libc_mutex_would_open(mutex_of(mtx), pa_registry_tid(&pa_thread_self)),
		PA_REAL(mtx_unlock)(mtx));
}

int pa_wait_hooks_mtx_unlock(mtx_t *mtx)
{
	if (pa_likely(!pa_wait_hooks_is_waited(mtx)))
		return PA_REAL(mtx_unlock)(mtx);
	return mtx_unlock_slow(mtx);
}

/* ---- pthread_spinlock_t ---- */

int pthread_spin_lock(pthread_spinlock_t *lock)
{
	return pa_mutex_targets.pthread_spin_lock(lock);
}

static PA_SLOW int spin_lock_slow(pthread_spinlock_t *lock)
{
	PA_WAIT_HOOKS_WATCH(PA_WAIT_SPIN, (const void *)lock, pa_real.pthread_spin_lock(lock),
		pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_spin_lock(pthread_spinlock_t *lock)
{
	if (!pa_wait_hooks_is_on())
		return PA_REAL(pthread_spin_lock)(lock);
	int error = pa_real.pthread_spin_trylock(lock);
	return pa_likely(error != EBUSY) ? error : spin_lock_slow(lock);
}

int pthread_spin_unlock(pthread_spinlock_t *lock)
{
	return pa_mutex_targets.pthread_spin_unlock(lock);
}

static PA_SLOW int spin_unlock_slow(pthread_spinlock_t *lock)
{
	PA_WAIT_HOOKS_WATCH_UNLOCK((const void *)lock, true, PA_REAL(pthread_spin_unlock)(lock));
}

int pa_wait_hooks_pthread_spin_unlock(pthread_spinlock_t *lock)
{
	if (pa_likely(!pa_wait_hooks_is_waited((const void *)lock)))
		return PA_REAL(pthread_spin_unlock)(lock);
	return spin_unlock_slow(lock);
}

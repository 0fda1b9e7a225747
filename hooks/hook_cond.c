/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Condition variables. Their wait unlocks the mutex inside libc, where no hook sees it: the unlock
 * is charged here, before the wait. Re-acquisition of the mutex counts as part of the condition's
 * wait.
 */
#include "../agent/arch/arch.h"
#include "../agent/base/libc.h"
#include "../agent/record/registry.h"
#include "wait_hooks.h"

#include "../agent/base/banned.h"

PA_DEFINE_TARGETS(pa_cond_targets, PA_COND_HOOKS);

/* Ends the critical section of the caller. */
static void give_up_mutex(pthread_mutex_t *mutex, struct pa_cursor caller)
{
	PA_CALM_FLAGS();
	if (pa_likely(!pa_wait_hooks_is_waited(mutex)) ||
		!pa_libc_mutex_would_open(mutex, pa_registry_tid(&pa_thread_self)))
		return;
	if (pa_trace_events_is_waited(mutex))
		pa_trace_events_release(&pa_thread_self, mutex, caller);
	uint64_t taken_ns = pa_lock_waits_take(mutex);
	pa_lock_waits_charge(&pa_thread_self, mutex, taken_ns, caller);
}

/* ---- pthread_cond_t ---- */

int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	return pa_cond_targets.pthread_cond_wait(cond, mutex);
}

static PA_SLOW int wait_slow(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	give_up_mutex(mutex, PA_CURSOR_OF_CALLER());
	PA_WAIT_HOOKS_WATCH(PA_WAIT_COND, cond, pa_real.pthread_cond_wait(cond, mutex),
		pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	if (!pa_wait_hooks_is_on())
		return PA_REAL(pthread_cond_wait)(cond, mutex);
	return wait_slow(cond, mutex);
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *end)
{
	return pa_cond_targets.pthread_cond_timedwait(cond, mutex, end);
}

static PA_SLOW int timedwait_slow(pthread_cond_t *cond, pthread_mutex_t *mutex,
	const struct timespec *end)
{
	give_up_mutex(mutex, PA_CURSOR_OF_CALLER());
	PA_WAIT_HOOKS_WATCH(PA_WAIT_COND, cond, pa_real.pthread_cond_timedwait(cond, mutex, end),
		pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
	const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || !pa_wait_hooks_is_time(end))
		return PA_REAL(pthread_cond_timedwait)(cond, mutex, end);
	return timedwait_slow(cond, mutex, end);
}

int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
	const struct timespec *end)
{
	return pa_cond_targets.pthread_cond_clockwait(cond, mutex, clock, end);
}

static PA_SLOW int clockwait_slow(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
	const struct timespec *end)
{
	give_up_mutex(mutex, PA_CURSOR_OF_CALLER());
	PA_WAIT_HOOKS_WATCH(PA_WAIT_COND, cond,
		pa_real.pthread_cond_clockwait(cond, mutex, clock, end), pa_wait_hooks_end_of);
}

int pa_wait_hooks_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
	clockid_t clock, const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || !pa_wait_hooks_is_clock(clock, end))
		return PA_REAL(pthread_cond_clockwait)(cond, mutex, clock, end);
	return clockwait_slow(cond, mutex, clock, end);
}

/* ---- cnd_t: libc's functions do not call those above ---- */

int cnd_wait(cnd_t *cond, mtx_t *mtx)
{
	return pa_cond_targets.cnd_wait(cond, mtx);
}

static PA_SLOW int cnd_wait_slow(cnd_t *cond, mtx_t *mtx)
{
	give_up_mutex((pthread_mutex_t *)mtx, PA_CURSOR_OF_CALLER());
	PA_WAIT_HOOKS_WATCH(PA_WAIT_COND, cond, pa_real.cnd_wait(cond, mtx),
		pa_wait_hooks_end_of_c11);
}

int pa_wait_hooks_cnd_wait(cnd_t *cond, mtx_t *mtx)
{
	if (!pa_wait_hooks_is_on())
		return PA_REAL(cnd_wait)(cond, mtx);
	return cnd_wait_slow(cond, mtx);
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mtx, const struct timespec *restrict end)
{
	return pa_cond_targets.cnd_timedwait(cond, mtx, end);
}

static PA_SLOW int cnd_timedwait_slow(cnd_t *cond, mtx_t *mtx, const struct timespec *end)
{
	give_up_mutex((pthread_mutex_t *)mtx, PA_CURSOR_OF_CALLER());
	PA_WAIT_HOOKS_WATCH(PA_WAIT_COND, cond, pa_real.cnd_timedwait(cond, mtx, end),
		pa_wait_hooks_end_of_c11);
}

int pa_wait_hooks_cnd_timedwait(cnd_t *cond, mtx_t *mtx, const struct timespec *end)
{
	if (!pa_wait_hooks_is_on() || !pa_wait_hooks_is_time(end))
		return PA_REAL(cnd_timedwait)(cond, mtx, end);
	return cnd_timedwait_slow(cond, mtx, end);
}

/* ---- wakeups ---- */

PA_WAKE_HOOK(pa_cond_targets, pthread_cond_signal, pthread_cond_t)
PA_WAKE_HOOK(pa_cond_targets, pthread_cond_broadcast, pthread_cond_t)
PA_WAKE_HOOK(pa_cond_targets, cnd_signal, cnd_t)
PA_WAKE_HOOK(pa_cond_targets, cnd_broadcast, cnd_t)

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recording halves of the wait hooks: their common parts.
 *
 * Where a try form without side effects exists, a hook first calls it; any result but "busy" is
 * returned, since a second call would be another operation. Otherwise it checks whether the call
 * would wait. Only then the slow half runs, which really waits. It is entered by a jump, so that
 * its caller is the program's code.
 *
 * A call with a timeout or clock that libc might reject goes to the real function at once, since
 * the try form does not check these.
 *
 * Context: PA_APP. No lock.
 */
#ifndef PA_HOOKS_WATCH_H
#define PA_HOOKS_WATCH_H

#include <errno.h>

#include "../agent/arch/arch.h"
#include "../agent/record/lock_waits.h"
#include "../agent/record/sandbox.h"
#include "../agent/record/trace_events.h"
#include "real.h"

/* True when waits are recorded. */
static inline bool pa_wait_hooks_is_on(void)
{
	return (pa_lock_waits_is_on() || pa_trace_events_is_on()) &&
		pa_sandbox_may(&pa_thread_self, PA_CALLS_CLOCK);
}

/* False: the lock has no waiters, or waits are not recorded. */
static inline bool pa_wait_hooks_is_waited(const void *lock)
{
	return (pa_lock_waits_is_waited(lock) || pa_trace_events_is_waited(lock)) &&
		pa_sandbox_may(&pa_thread_self, PA_CALLS_CLOCK);
}

/*
 * The complete slow half: begins the wait, makes the real call, ends the wait (end_of(result)). A
 * thread that is cancelled in the call, or jumps out of it, does not end the wait: see struct
 * pa_wait.
 */
#define PA_WAIT_HOOKS_WATCH(kind, object, real_call, end_of)                                 \
	do {                                                                                 \
		PA_CALM_FLAGS();                                                             \
		struct pa_cursor caller = PA_CURSOR_OF_CALLER();                             \
		struct pa_thread *self = &pa_thread_self;                                    \
		uintptr_t frame = (uintptr_t)__builtin_frame_address(0);                     \
		bool recorded = pa_lock_waits_begin(self, (kind), (object), frame);          \
		bool traced = pa_trace_events_block(self, (enum pa_trace_events_wait)(kind), \
			(object), frame, caller);                                            \
		if ((recorded || traced) && !self->exit_noted)                               \
			pa_hooks_note_exit(self);                                            \
		int result = (real_call);                                                    \
		if (recorded)                                                                \
			pa_lock_waits_end(self, frame, end_of(result), caller);              \
		if (traced)                                                                  \
			pa_trace_events_woke(self, frame, end_of(result));                   \
		return result;                                                               \
	} while (0)

/*
 * The complete slow half of an unlock with waiters. The time is taken before the unlock, and
 * recorded after it, so that waiters do not wait longer because of the record.
 */
#define PA_WAIT_HOOKS_WATCH_UNLOCK(lock, would_open, real_call)                          \
	do {                                                                             \
		PA_CALM_FLAGS();                                                         \
		struct pa_cursor caller = PA_CURSOR_OF_CALLER();                         \
		bool opens = (would_open);                                               \
		uint64_t taken_ns = opens ? pa_lock_waits_take(lock) : 0;                \
		if (opens && pa_trace_events_is_waited(lock))                            \
			pa_trace_events_release(&pa_thread_self, (lock), caller);        \
		int result = (real_call);                                                \
		if (taken_ns && result == 0)                                             \
			pa_lock_waits_charge(&pa_thread_self, (lock), taken_ns, caller); \
		return result;                                                           \
	} while (0)

/* A function that wakes waiters of an object: recorded for traces only. */
#define PA_WAKE_HOOK(targets, name, type)                                                \
	int name(type *object)                                                           \
	{                                                                                \
		return (targets).name(object);                                           \
	}                                                                                \
	static PA_SLOW int name##_slow(type *object)                                     \
	{                                                                                \
		PA_CALM_FLAGS();                                                         \
		pa_trace_events_release(&pa_thread_self, object, PA_CURSOR_OF_CALLER()); \
		return PA_REAL(name)(object);                                            \
	}                                                                                \
	int pa_wait_hooks_##name(type *object)                                           \
	{                                                                                \
		if (pa_likely(!pa_trace_events_is_waited(object)))                       \
			return PA_REAL(name)(object);                                    \
		return name##_slow(object);                                              \
	}

/* Outcome of a wait, from the result of a function of the pthread family. */
static inline enum pa_wait_end pa_wait_hooks_end_of(int error)
{
	if (error == 0 || error == EOWNERDEAD)
		return PA_WAIT_GOT;
	return error == ETIMEDOUT ? PA_WAIT_GAVE_UP : PA_WAIT_REFUSED;
}

/* The same for C11. */
static inline enum pa_wait_end pa_wait_hooks_end_of_c11(int result)
{
	if (result == thrd_success)
		return PA_WAIT_GOT;
	return result == thrd_timedout ? PA_WAIT_GAVE_UP : PA_WAIT_REFUSED;
}

/* Checks that libc accepts the time or clock. */
static inline bool pa_wait_hooks_is_time(const struct timespec *time)
{
	return time && time->tv_nsec >= 0 && time->tv_nsec < PA_NS_PER_S;
}

static inline bool pa_wait_hooks_is_clock(clockid_t clock, const struct timespec *time)
{
	return (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC) && pa_wait_hooks_is_time(time);
}

#endif

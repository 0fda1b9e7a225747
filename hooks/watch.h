/*
 * The watched halves of the wait hooks: what they have in common.
 *
 * Where there is a try form without side effects, each first asks that. Any result of it but "busy"
 * is the answer: a second call after it would be another call. Else it looks whether the call would
 * wait. Only then comes the slow half, which is the one that really waits. It is jumped to, so that
 * its caller is the program's code.
 *
 * A call with a time or a clock that libc might refuse goes to the real function at once, since the
 * try form would not look at them.
 */
#ifndef PA_HOOKS_WATCH_H
#define PA_HOOKS_WATCH_H

#include <errno.h>

#include "../agent/record/contend.h"
#include "../agent/record/sandbox.h"
#include "../agent/record/tracing.h"
#include "real.h"

/* Does anybody want to know of waits? */
static inline bool pa_watch_is_on(void)
{
	return (pa_contend_is_on() || pa_tracing_is_on()) &&
		pa_sandbox_may(&pa_thread_self, PA_CALLS_CLOCK);
}

/* False: surely nobody waits for the lock, or nobody wants to know. */
static inline bool pa_watch_is_waited(const void *lock)
{
	return (pa_contend_is_waited(lock) || pa_tracing_is_waited(lock)) &&
		pa_sandbox_may(&pa_thread_self, PA_CALLS_CLOCK);
}

/*
 * The whole slow half: tells of the wait, makes the real call, tells its end (end_of(result)).
 * A thread that is cancelled in the call, or jumps out of it, never comes back: see struct pa_wait.
 */
#define PA_WATCH(kind, object, real_call, end_of)                                                 \
	do {                                                                                      \
		PA_CALM_FLAGS();                                                                  \
		struct pa_cursor caller = PA_CURSOR_OF_CALLER();                                  \
		struct pa_thread *self = &pa_thread_self;                                         \
		uintptr_t frame = (uintptr_t)__builtin_frame_address(0);                          \
		bool told = pa_contend_begin(self, (kind), (object), frame);                      \
		bool traced = pa_tracing_block(self, (enum pa_tracing_wait)(kind), (object),      \
			frame, caller);                                                           \
		if ((told || traced) && !self->exit_noted)                                        \
			pa_hooks_note_exit(self);                                                 \
		int result = (real_call);                                                         \
		if (told)                                                                         \
			pa_contend_end(self, frame, end_of(result), caller);                      \
		if (traced)                                                                       \
			pa_tracing_woke(self, frame, end_of(result) != PA_WAIT_GAVE_UP);          \
		return result;                                                                    \
	} while (0)

/*
 * The whole slow half of an unlock that somebody waits for. The time is taken before the lock is
 * free, and recorded after, so that nobody waits longer for our sake.
 */
#define PA_WATCH_UNLOCK(lock, would_open, real_call)                                              \
	do {                                                                                      \
		PA_CALM_FLAGS();                                                                  \
		struct pa_cursor caller = PA_CURSOR_OF_CALLER();                                  \
		bool opens = (would_open);                                                        \
		uint64_t taken_ns = opens ? pa_contend_take(lock) : 0;                            \
		if (opens && pa_tracing_is_waited(lock))                                          \
			pa_tracing_release(&pa_thread_self, (lock), caller);                      \
		int result = (real_call);                                                         \
		if (taken_ns && result == 0)                                                      \
			pa_contend_charge(&pa_thread_self, (lock), taken_ns, caller);             \
		return result;                                                                    \
	} while (0)

/* A function that wakes who waits for an object: only a trace wants to know. */
#define PA_WAKE_HOOK(name, type)                                                                  \
	int name(type *object)                                                                    \
	{                                                                                         \
		return pa_wait_targets.name(object);                                              \
	}                                                                                         \
	static PA_SLOW int name##_slow(type *object)                                              \
	{                                                                                         \
		PA_CALM_FLAGS();                                                                  \
		pa_tracing_release(&pa_thread_self, object, PA_CURSOR_OF_CALLER());               \
		return PA_REAL(name)(object);                                                     \
	}                                                                                         \
	int pa_watched_##name(type *object)                                                       \
	{                                                                                         \
		if (pa_likely(!pa_tracing_is_waited(object)))                                     \
			return PA_REAL(name)(object);                                             \
		return name##_slow(object);                                                       \
	}

/* How a wait ended, by the result of a function of the pthread family. */
static inline enum pa_wait_end pa_watch_end_of(int error)
{
	if (error == 0 || error == EOWNERDEAD)
		return PA_WAIT_GOT;
	return error == ETIMEDOUT ? PA_WAIT_GAVE_UP : PA_WAIT_REFUSED;
}

/* The same for C11. */
static inline enum pa_wait_end pa_watch_end_of_c11(int result)
{
	if (result == thrd_success)
		return PA_WAIT_GOT;
	return result == thrd_timedout ? PA_WAIT_GAVE_UP : PA_WAIT_REFUSED;
}

/* libc would take these for a time, and for a clock. */
static inline bool pa_watch_is_time(const struct timespec *time)
{
	return time && time->tv_nsec >= 0 && time->tv_nsec < PA_NS_PER_S;
}

static inline bool pa_watch_is_clock(clockid_t clock, const struct timespec *time)
{
	return (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC) && pa_watch_is_time(time);
}

#endif

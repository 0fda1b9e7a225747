/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits on futexes that the program makes by syscall(): locks, conditions and parked threads of
 * Rust, C++20, Abseil, TBB, GLib and others (futex(2)). libc's own functions make the system call
 * themselves, so what waits in pthread_mutex_lock and the like does not come by here.
 *
 * The futex word is never read: the memory may be gone, and the kernel compares it anyway. A call
 * that the kernel refuses (the word has another value) was no wait. Which waits are for locks is
 * found out where names are known (proto/futex_kind.h); but LOCK_PI is one by definition.
 */
#include "futex.h"

#include <errno.h>
#include <linux/futex.h>

#include "../agent/arch/arch.h"
#include "wait_hooks.h"

#include "../agent/base/banned.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13 /* Linux 5.14 */
#endif

/* The number that linux/futex.h has for it, without the flags. */
static int futex_command_of(long operation)
{
	return (int)operation & FUTEX_CMD_MASK;
}

static bool is_pi_command(int command)
{
	return command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2 || command == FUTEX_UNLOCK_PI;
}

static bool is_wait_command(int command)
{
	return command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI ||
		command == FUTEX_LOCK_PI2 || command == FUTEX_WAIT_REQUEUE_PI;
}

static bool is_wake_command(int command)
{
	return command == FUTEX_WAKE || command == FUTEX_WAKE_BITSET || command == FUTEX_WAKE_OP ||
		command == FUTEX_REQUEUE || command == FUTEX_CMP_REQUEUE ||
		command == FUTEX_UNLOCK_PI || command == FUTEX_CMP_REQUEUE_PI;
}

/* ---- waits ---- */

static enum pa_wait_end end_of_futex_wait(long result)
{
	if (result >= 0)
		return PA_WAIT_GOT;
	return errno == ETIMEDOUT || errno == EINTR ? PA_WAIT_GAVE_UP : PA_WAIT_REFUSED;
}

/* errno is the call's own: nothing that is told changes it. */
static PA_SLOW long futex_wait_slow(long number, long word, long operation, long value, long limit,
	long other_word, long bits)
{
	PA_CALM_FLAGS();
	struct pa_cursor caller = PA_CURSOR_OF_CALLER();
	struct pa_thread *self = &pa_thread_self;
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	enum pa_wait_kind kind =
		is_pi_command(futex_command_of(operation)) ? PA_WAIT_FUTEX_PI : PA_WAIT_FUTEX;
	const void *object = (const void *)word;
	bool recorded = pa_lock_waits_begin_futex(self, kind, object, frame, caller);
	bool traced =
		pa_trace_events_block(self, (enum pa_trace_events_wait)kind, object, frame, caller);
	if ((recorded || traced) && !self->exit_noted)
		pa_hooks_note_exit(self);
	long result = PA_REAL(syscall)(number, word, operation, value, limit, other_word, bits);
	enum pa_wait_end end = end_of_futex_wait(result);
	if (recorded)
		pa_lock_waits_end(self, frame, end, caller);
	if (traced)
		pa_trace_events_woke(self, frame, end);
	return result;
}

/* ---- wakes ---- */

/* The waiters' time so far, taken off before the call: see pa_lock_waits_take. */
static uint64_t take_waiters(const void *word, struct pa_cursor caller)
{
	if (pa_trace_events_is_waited(word))
		pa_trace_events_release(&pa_thread_self, word, caller);
	return pa_lock_waits_take(pa_lock_waits_futex(word));
}

/* Where the call woke nothing (other bits, waiters on their way) the time is the waiters' again. */
static void charge_waiters(const void *word, bool woke, bool pi, uint64_t taken_ns,
	struct pa_cursor caller)
{
	if (!taken_ns)
		return;
	if (!woke)
		pa_lock_waits_give_back(pa_lock_waits_futex(word), taken_ns);
	else if (pi)
		pa_lock_waits_charge(&pa_thread_self, pa_lock_waits_futex(word), taken_ns, caller);
	else
		pa_lock_waits_charge_futex(&pa_thread_self, word, taken_ns, caller);
}

/* limit: of a wake no time, but how many of the second word. */
static PA_SLOW long futex_wake_slow(long number, long word, long operation, long value, long limit,
	long other_word, long value3)
{
	PA_CALM_FLAGS();
	struct pa_cursor caller = PA_CURSOR_OF_CALLER();
	int command = futex_command_of(operation);
	bool pi = is_pi_command(command);
	const void *first = (const void *)word;
	const void *second = command == FUTEX_WAKE_OP ? (const void *)other_word : NULL;
	uint64_t first_ns = take_waiters(first, caller);
	uint64_t second_ns = second ? take_waiters(second, caller) : 0;
	long result = PA_REAL(syscall)(number, word, operation, value, limit, other_word, value3);
	bool woke = pi ? result == 0 : result > 0;
	charge_waiters(first, woke, pi, first_ns, caller);
	if (second)
		charge_waiters(second, woke, false, second_ns, caller);
	return result;
}

/* ---- both ---- */

/* What is no address has no place in a table by addresses; the kernel refuses it. */
static bool is_futex_address(long word)
{
	return word && (uintptr_t)word < PA_ADDRESS_LIMIT;
}

static bool is_futex_waited(long word)
{
	const void *object = (const void *)word;
	return is_futex_address(word) &&
		(pa_lock_waits_is_waited(pa_lock_waits_futex(object)) ||
			pa_trace_events_is_waited(object));
}

pa_syscall_function *pa_hooks_futex(long word, long operation, long other_word)
{
	int command = futex_command_of(operation);
	const struct pa_thread *self = &pa_thread_self;
	if (self->role == PA_ROLE_AGENT || self->depth || !pa_sandbox_may(self, PA_CALLS_CLOCK))
		return NULL;
	if (is_wait_command(command))
		return pa_wait_hooks_is_on() && is_futex_address(word) ? futex_wait_slow : NULL;
	if (is_wake_command(command) &&
		(is_futex_waited(word) ||
			(command == FUTEX_WAKE_OP && is_futex_waited(other_word))))
		return futex_wake_slow;
	return NULL;
}

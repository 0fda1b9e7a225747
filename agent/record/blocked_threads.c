/* SPDX-License-Identifier: Apache-2.0 */
#include "blocked_threads.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "../arch/arch.h"
#include "../base/clock.h"
#include "event.h"
#include "labels.h"
#include "switches.h"
#include "peek.h"
#include "registry.h"
#include "shared_call.h"
#include "tasks.h"

#include "../base/banned.h"

/* As the copies that threads make themselves; a deep interpreter needs 25 KiB. */
#define COPY_BYTES ((size_t)32 << 10)

/* Reads of the position before the thread counts as running: it changes between reads. */
#define POSITION_READS 3

/* Where a blocked thread is. Compared as a whole. */
struct position {
	struct pa_call call;
	uintptr_t sp, pc;
};

static bool is_number_in(long number, const int16_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (number == numbers[i])
			return true;
	return false;
}

/* signal(7), "Interruption of system calls". */
static bool is_listed(long number)
{
	static const int16_t numbers[] = {
		PA_SYS_POLL, SYS_ppoll, PA_SYS_SELECT, SYS_pselect6, PA_SYS_EPOLL_WAIT,
		SYS_epoll_pwait,
#ifdef SYS_epoll_pwait2
		SYS_epoll_pwait2,
#endif
		SYS_nanosleep, SYS_clock_nanosleep, PA_SYS_PAUSE, SYS_rt_sigsuspend,
		SYS_rt_sigtimedwait, SYS_semop, SYS_semtimedop, SYS_msgrcv, SYS_msgsnd,
		SYS_io_getevents, SYS_io_uring_enter,
		SYS_restart_syscall, /* one of those, restarted after a stop signal */
	};
	return is_number_in(number, numbers, PA_COUNT(numbers));
}

/* Address of the signal mask argument of the call; 0: none. */
static uintptr_t own_mask(const struct pa_call *call)
{
	uintptr_t mask;
	switch (call->number) {
	case SYS_ppoll: return (uintptr_t)call->arguments[3];
	case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
		return (uintptr_t)call->arguments[4];
	case SYS_pselect6: /* the last argument is the address of a pair: mask, size */
		if (!call->arguments[5])
			return 0;
		return pa_peek(&mask, (uintptr_t)call->arguments[5], sizeof(mask)) < sizeof(mask) ?
			UINTPTR_MAX :
			mask;
	case SYS_rt_sigsuspend: return (uintptr_t)call->arguments[0];
	default: return 0;
	}
}

/* Calls that can change the mask while they wait do so to receive a signal. */
static bool waits_for_signals(const struct pa_call *call)
{
	return own_mask(call) != 0 || call->number == PA_SYS_PAUSE ||
		call->number == SYS_restart_syscall || call->number == SYS_io_uring_enter;
}

/* Fail with EINTR when the socket has SO_RCVTIMEO or SO_SNDTIMEO (signal(7)). Not connect, which
 * continues asynchronously. */
static bool is_socket_call(long number)
{
	static const int16_t numbers[] = { SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_sendto,
		SYS_sendmsg, SYS_sendmmsg, SYS_accept, SYS_accept4 };
	return is_number_in(number, numbers, PA_COUNT(numbers));
}

/* The same when the descriptor is a socket. */
static bool is_file_call(long number)
{
	static const int16_t numbers[] = { SYS_read, SYS_readv, SYS_write, SYS_writev };
	return is_number_in(number, numbers, PA_COUNT(numbers));
}

/* True when a signal ends this call with EINTR in spite of SA_RESTART. */
static bool never_restarts(const struct pa_call *call)
{
	/* With a timeout, as in sem_timedwait. */
	long operation = call->arguments[1] & FUTEX_CMD_MASK;
	bool waits = operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET;
	if (call->number == SYS_futex)
		return waits && call->arguments[3] != 0;
	return is_listed(call->number);
}

/*
 * True when this call, which the agent's signal has ended with EINTR, can be repeated without an
 * effect that the program sees. False for calls that wait for signals: a handler of the program may
 * have run at the same moment, and the repeated call would never end. (For all other calls this
 * equals a signal that arrived just before the call.)
 */
static bool may_begin_again(const struct pa_call *call)
{
	if (never_restarts(call))
		return !waits_for_signals(call);
	/* EINTR although the kernel restarts these: a socket with a timeout. */
	return is_socket_call(call->number) || is_file_call(call->number);
}

/* The call that ended with EINTR for this signal. False: none. */
static bool ended_call(const ucontext_t *context, struct pa_call *call)
{
	uint8_t code[PA_CALL_CODE_BYTES];
	uintptr_t end;
	if (!pa_arch_interrupted_call(context, call, &end))
		return false;
	call->number = pa_shared_call_number(context);
	if (call->number >= 0)
		return true;
	if (pa_peek(code, end - sizeof(code), sizeof(code)) < sizeof(code))
		return false;
	call->number = pa_arch_call_number(code + sizeof(code));
	return true;
}

void pa_blocked_threads_hide_interruption(ucontext_t *context)
{
	struct pa_call call;
	if (ended_call(context, &call) && may_begin_again(&call))
		pa_arch_call_again(context, &call);
}

bool pa_blocked_threads_passed_mask(const ucontext_t *context, int signal)
{
	PA_ASSERT(signal > 0 && signal <= 64);
	struct pa_call call;
	uint64_t mask;
	return ended_call(context, &call) && own_mask(&call) != 0 &&
		pa_peek(&mask, own_mask(&call), sizeof(mask)) == sizeof(mask) &&
		!(mask >> (signal - 1) & 1);
}

/* Parses /proc/PID/task/TID/syscall (proc(5)): "NUMBER ARGUMENT*6 SP PC" of a blocked thread, "-1
 * SP PC" of one in a page fault, or "running". */
static bool find_position(int32_t tid, struct position *position)
{
	char text[256], *at = text, *end;
	struct pa_call *call = &position->call;
	*position = (struct position){ .call.number = -1 };
	if (!pa_tasks_read(tid, "syscall", text, sizeof(text)))
		return false;
	call->number = strtol(at, &end, 10);
	if (end == at || call->number < 0) {
		call->number = -1;
		return true;
	}
	for (size_t i = 0; i < PA_COUNT(call->arguments); i++)
		call->arguments[i] = (long)strtoul(end, &end, 16);
	position->sp = strtoul(end, &end, 16);
	at = end;
	position->pc = strtoul(at, &end, 16);
	return end != at;
}

/*
 * True when the thread must not be signalled. The agent cannot query a socket's timeout without
 * duplicating its descriptor, so all threads in socket calls count.
 */
static bool must_not_be_signalled(int32_t tid, const struct pa_call *call)
{
	return never_restarts(call) || is_socket_call(call->number) ||
		(is_file_call(call->number) && pa_tasks_is_socket(tid, (int)call->arguments[0]));
}

/*
 * Without privileges a process may not read /proc/PID/task/TID/syscall of its own threads, but
 * wchan still shows the kernel function in which they wait: so that such threads can be excluded
 * from signals.
 */
static bool waits_in_excluded_call(int32_t tid)
{
	static const char *const places[] = { "poll_schedule_timeout", "do_poll", "do_sys_poll",
		"do_select", "do_epoll_wait", "ep_poll", "hrtimer_nanosleep", "do_nanosleep",
		"common_nsleep", "__do_sys_pause", "__x64_sys_pause", "sys_pause", "sigsuspend",
		"do_sigtimedwait", "do_semtimedop", "__do_semtimedop", "do_msgrcv", "do_msgsnd",
		"read_events", "io_cqring_wait" };
	char text[128];
	if (!pa_tasks_read(tid, "wchan", text, sizeof(text)))
		return false;
	for (size_t i = 0; i < PA_COUNT(places); i++)
		if (strncmp(text, places[i], strlen(places[i])) == 0)
			return true;
	return false;
}

static bool is_same_position(const struct position *a, const struct position *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void read_entry_name(struct pa_thread_dump_entry *entry)
{
	char text[PA_THREAD_DUMP_NAME_BYTES + 2];
	if (!pa_tasks_read(entry->tid, "comm", text, sizeof(text)))
		return;
	size_t length = strlen(text);
	if (length && text[length - 1] == '\n')
		length--;
	memcpy(entry->name, text, length < sizeof(entry->name) ? length : sizeof(entry->name));
}

/* How much of the memory from there on may be of the stack: above the thread's own are its
 * descriptor and other mappings. thread: NULL if it is not known. */
static size_t bytes_to_copy(const struct pa_thread *thread, uintptr_t from)
{
	bool own = thread && thread->stack_least <= from && from < thread->stack_hi;
	size_t left = own ? thread->stack_hi - from : COPY_BYTES;
	return left < COPY_BYTES ? left : COPY_BYTES;
}

/* Fills the event in its slot. 0: the stack is unreadable; else the number of bytes used. */
static size_t fill_blocked_event(struct pa_event *event, int32_t tid, uint64_t word,
	const struct position *position, const struct pa_thread *thread)
{
	PA_ASSERT(tid > 0);
	struct pa_deferred *deferred = (struct pa_deferred *)(event + 1);
	*event = (struct pa_event){
		.kind = PA_EVENT_DUMP,
		.flags = PA_EVENT_LEAF | PA_EVENT_DEFERRED,
		.tid = tid,
		.time_ns = pa_clock_mono_ns(),
		.value = { word, pa_record.frames ? pa_frame_cache_epoch(pa_record.frames) : 0 },
	};
	memset(deferred, 0, sizeof(*deferred));
	deferred->regs.gpr[PA_REG_PC] = position->pc;
	deferred->regs.gpr[PA_REG_SP] = position->sp;
	deferred->leaf = 1;
	deferred->few_regs = 1;
	deferred->stack_at = position->sp & ~(uintptr_t)7;
	deferred->stack_bytes = (uint32_t)pa_peek(deferred + 1, deferred->stack_at,
					bytes_to_copy(thread, deferred->stack_at)) &
		~7u;
	return deferred->stack_bytes ? sizeof(*event) + sizeof(*deferred) + deferred->stack_bytes :
				       0;
}

static enum pa_blocked_threads write_blocked_stack(struct pa_thread_dump_entry *entry,
	uint64_t word, const struct position *position)
{
	const size_t most = sizeof(struct pa_event) + sizeof(struct pa_deferred) + COPY_BYTES;
	struct pa_event *event = pa_ring_reserve(pa_record.ring, most);
	if (!event)
		return PA_BLOCKED_THREADS_FULL;
	struct pa_thread thread;
	bool known = pa_registry_copy(entry->tid, &thread);
	size_t bytes =
		fill_blocked_event(event, entry->tid, word, position, known ? &thread : NULL);
	PA_ASSERT(bytes <= most);
	if (known)
		event->labels = pa_labels_id(thread.labels);
	struct position after;
	bool stayed = find_position(entry->tid, &after) && is_same_position(position, &after);
	if (!stayed)
		explicit_bzero(event, bytes);
	pa_ring_publish(pa_record.ring, event, most, stayed ? bytes : 0);
	if (!stayed)
		return PA_BLOCKED_THREADS_NOT;
	if (known)
		entry->thread = pa_thread_state_of(&thread, position->sp);
	return bytes ? PA_BLOCKED_THREADS_WRITTEN : PA_BLOCKED_THREADS_UNKNOWN;
}

enum pa_blocked_threads pa_blocked_threads_answer(struct pa_thread_dump_entry *entry, uint64_t word)
{
	PA_ASSERT(entry->tid > 0);
	enum pa_blocked_threads result = PA_BLOCKED_THREADS_NOT;
	struct position position;
	for (int i = 0; i < POSITION_READS && result == PA_BLOCKED_THREADS_NOT; i++) {
		if (!find_position(entry->tid, &position))
			return waits_in_excluded_call(entry->tid) ? PA_BLOCKED_THREADS_UNKNOWN :
								    PA_BLOCKED_THREADS_NOT;
		if (!must_not_be_signalled(entry->tid, &position.call))
			return PA_BLOCKED_THREADS_NOT;
		result = write_blocked_stack(entry, word, &position);
	}
	if (result == PA_BLOCKED_THREADS_WRITTEN) {
		read_entry_name(entry);
		PA_COUNT_EVENT(dump_answers);
	}
	return result;
}

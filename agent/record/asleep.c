#include "asleep.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "../base/clock.h"
#include "labels.h"
#include "on.h"
#include "peek.h"
#include "tasks.h"

#include "../base/banned.h"

/* As for the copies that threads make themselves; a deep interpreter needs 25 KiB. */
#define COPY_BYTES ((size_t)32 << 10)

/* Looks before the thread is taken for awake: it comes and goes. */
#define LOOKS 3

/* Where a blocked thread stands. Compared as a whole. */
struct stand {
	struct pa_call call;
	uintptr_t sp, pc;
};

static bool is_in(long number, const uint16_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (number == numbers[i])
			return true;
	return false;
}

/* signal(7), "Interruption of system calls". */
static bool is_listed(long number)
{
	static const uint16_t numbers[] = {
		SYS_poll, SYS_ppoll, SYS_select, SYS_pselect6, SYS_epoll_wait, SYS_epoll_pwait,
#ifdef SYS_epoll_pwait2
		SYS_epoll_pwait2,
#endif
		SYS_nanosleep, SYS_clock_nanosleep, SYS_pause, SYS_rt_sigsuspend,
		SYS_rt_sigtimedwait, SYS_semop, SYS_semtimedop, SYS_msgrcv, SYS_msgsnd,
		SYS_io_getevents, SYS_io_uring_enter,
		SYS_restart_syscall, /* one of those, continued after a stop */
	};
	return is_in(number, numbers, PA_COUNT(numbers));
}

/* Those that can change the mask while they wait do so to hear of a signal. */
static bool waits_for_signals(const struct pa_call *call)
{
	uintptr_t mask;
	switch (call->number) {
	case SYS_ppoll:
		return call->arguments[3] != 0;
	case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
		return call->arguments[4] != 0;
	case SYS_pselect6: /* the last argument is the address of a pair: mask, size */
		return call->arguments[5] != 0 &&
			(pa_peek(&mask, (uintptr_t)call->arguments[5], sizeof(mask)) <
			 sizeof(mask) || mask != 0);
	case SYS_pause:
	case SYS_rt_sigsuspend:
	case SYS_restart_syscall:
	case SYS_io_uring_enter:
		return true;
	default:
		return false;
	}
}

/* Those end with EINTR where the socket has SO_RCVTIMEO or SO_SNDTIMEO. connect is not among them:
 * it goes on by itself. */
static bool is_socket_call(long number)
{
	static const uint16_t numbers[] = {
		SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_sendto, SYS_sendmsg, SYS_sendmmsg,
		SYS_accept, SYS_accept4,
	};
	return is_in(number, numbers, PA_COUNT(numbers));
}

/* The same, if their descriptor is a socket. */
static bool is_file_call(long number)
{
	static const uint16_t numbers[] = { SYS_read, SYS_readv, SYS_write, SYS_writev };
	return is_in(number, numbers, PA_COUNT(numbers));
}

/* Does a signal end this call with EINTR in spite of SA_RESTART? */
static bool never_restarts(const struct pa_call *call)
{
	/* With a time limit, as in sem_timedwait. */
	long operation = call->arguments[1] & FUTEX_CMD_MASK;
	bool waits = operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET;
	if (call->number == SYS_futex)
		return waits && call->arguments[3] != 0;
	return is_listed(call->number);
}

/*
 * May this call, which a signal of ours has ended with EINTR, be made again as if nothing had been?
 * Not when it waits for signals: a handler of the program may have run in the same moment, and then
 * the call would never end. (With any other call, such a moment is as if the signal had come just
 * before the call.)
 */
static bool may_begin_again(const struct pa_call *call)
{
	if (never_restarts(call))
		return !waits_for_signals(call);
	/* EINTR although the kernel restarts these: it was a socket with a timeout. */
	return is_socket_call(call->number) || is_file_call(call->number);
}

void pa_asleep_hide_interruption(ucontext_t *context)
{
	uint8_t code[PA_CALL_CODE_BYTES];
	struct pa_call call;
	uintptr_t end;
	if (!pa_regs_interrupted_call(context, &call, &end) ||
	    pa_peek(code, end - sizeof(code), sizeof(code)) < sizeof(code))
		return;
	call.number = pa_regs_call_number(code + sizeof(code));
	if (may_begin_again(&call))
		pa_regs_call_again(context, &call);
}

/* "NUMBER ARGUMENT*6 SP PC" of a blocked thread, "-1 SP PC" of one that faults, or "running". */
static bool find_stand(int32_t tid, struct stand *stand)
{
	char text[256], *at = text, *end;
	struct pa_call *call = &stand->call;
	*stand = (struct stand){ .call.number = -1 };
	if (!pa_tasks_read(tid, "syscall", text, sizeof(text)))
		return false;
	call->number = strtol(at, &end, 10);
	if (end == at || call->number < 0) {
		call->number = -1;
		return true;
	}
	for (size_t i = 0; i < PA_COUNT(call->arguments); i++)
		call->arguments[i] = (long)strtoul(end, &end, 16);
	stand->sp = strtoul(end, &end, 16);
	at = end;
	stand->pc = strtoul(at, &end, 16);
	return end != at;
}

/*
 * Whether a socket has a timeout cannot be asked without taking hold of it, so all of them are
 * left asleep.
 */
static bool is_to_sleep_on(int32_t tid, const struct pa_call *call)
{
	return never_restarts(call) || is_socket_call(call->number) ||
	       (is_file_call(call->number) && pa_tasks_is_socket(tid, (int)call->arguments[0]));
}

/*
 * A process that gave up its privileges may not read where its own threads stand, but still where
 * in the kernel they wait: enough to know whom not to wake.
 */
static bool waits_where_no_signal_may_come(int32_t tid)
{
	static const char *const places[] = {
		"poll_schedule_timeout", "do_poll", "do_sys_poll", "do_select", "do_epoll_wait",
		"ep_poll", "hrtimer_nanosleep", "do_nanosleep", "common_nsleep", "__do_sys_pause",
		"__x64_sys_pause", "sys_pause", "sigsuspend", "do_sigtimedwait", "do_semtimedop",
		"__do_semtimedop", "do_msgrcv", "do_msgsnd", "read_events", "io_cqring_wait",
	};
	char text[128];
	if (!pa_tasks_read(tid, "wchan", text, sizeof(text)))
		return false;
	for (size_t i = 0; i < PA_COUNT(places); i++)
		if (strncmp(text, places[i], strlen(places[i])) == 0)
			return true;
	return false;
}

static bool is_same(const struct stand *a, const struct stand *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void read_name(struct pa_roll_entry *entry)
{
	char text[PA_ROLL_NAME_BYTES + 2];
	if (!pa_tasks_read(entry->tid, "comm", text, sizeof(text)))
		return;
	size_t length = strlen(text);
	if (length && text[length - 1] == '\n')
		length--;
	memcpy(entry->name, text, length < sizeof(entry->name) ? length : sizeof(entry->name));
}

/* Fills the event in its slot. 0: the stack cannot be read; else its bytes in the slot. */
static size_t fill(struct pa_event *event, int32_t tid, uint64_t word, const struct stand *stand)
{
	struct pa_cold *cold = (struct pa_cold *)(event + 1);
	*event = (struct pa_event){
		.kind = PA_EVENT_ROLL,
		.flags = PA_EVENT_LEAF | PA_EVENT_COLD,
		.tid = tid,
		.time_ns = pa_clock_mono_ns(),
		.value = { word, pa_record.frames ? pa_frames_epoch(pa_record.frames) : 0 },
	};
	memset(cold, 0, sizeof(*cold));
	cold->regs.gpr[PA_REG_PC] = stand->pc;
	cold->regs.gpr[PA_REG_SP] = stand->sp;
	cold->leaf = 1;
	cold->few_regs = 1;
	cold->stack_at = stand->sp & ~(uintptr_t)7;
	cold->stack_bytes = (uint32_t)pa_peek(cold + 1, cold->stack_at, COPY_BYTES) & ~7u;
	return cold->stack_bytes ? sizeof(*event) + sizeof(*cold) + cold->stack_bytes : 0;
}

static enum pa_asleep write_stack(struct pa_roll_entry *entry, uint64_t word,
	const struct stand *stand)
{
	const size_t most = sizeof(struct pa_event) + sizeof(struct pa_cold) + COPY_BYTES;
	struct pa_event *event = pa_ring_reserve(pa_record.ring, most);
	if (!event)
		return PA_ASLEEP_FULL;
	size_t bytes = fill(event, entry->tid, word, stand);
	struct pa_thread thread;
	bool known = pa_thread_copy(entry->tid, &thread);
	if (known)
		event->labels = pa_labels_id(thread.labels);
	struct stand after;
	bool stayed = find_stand(entry->tid, &after) && is_same(stand, &after);
	if (!stayed)
		explicit_bzero(event, bytes);
	pa_ring_publish(pa_record.ring, event, most, stayed ? bytes : 0);
	if (!stayed)
		return PA_ASLEEP_NOT;
	if (known)
		pa_rollcall_describe(entry, &thread, stand->sp);
	return bytes ? PA_ASLEEP_WRITTEN : PA_ASLEEP_UNKNOWN;
}

enum pa_asleep pa_asleep_answer(struct pa_roll_entry *entry, uint64_t word)
{
	enum pa_asleep result = PA_ASLEEP_NOT;
	struct stand stand;
	for (int i = 0; i < LOOKS && result == PA_ASLEEP_NOT; i++) {
		if (!find_stand(entry->tid, &stand))
			return waits_where_no_signal_may_come(entry->tid) ? PA_ASLEEP_UNKNOWN
									  : PA_ASLEEP_NOT;
		if (!is_to_sleep_on(entry->tid, &stand.call))
			return PA_ASLEEP_NOT;
		result = write_stack(entry, word, &stand);
	}
	if (result == PA_ASLEEP_WRITTEN) {
		read_name(entry);
		PA_COUNT_EVENT(roll_answers);
	}
	return result;
}

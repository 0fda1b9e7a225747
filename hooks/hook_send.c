/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals that the program sends to itself. The first one with the agent's number makes the signal
 * the program's for good: the sending thread blocks it where it relies on that, and the agent's
 * handler does so for the others as they receive it (record/requeue.h). All other signals cost one
 * comparison and a jump.
 */
#include <errno.h>
#include <sys/syscall.h>

#include "../agent/record/disposition.h"
#include "../agent/record/switches.h"
#include "../agent/record/thread_dump.h"
#include "../agent/record/signal.h"
#include "../agent/record/tick.h"
#include "signal_mask.h"
#include "real.h"

#include "../agent/base/banned.h"

/*
 * The agent's signals end before the program's first one: ticks stop, and pending ones are dropped.
 * The agent does not use the signal after that.
 */
static void share_signal(void)
{
	int saved_errno = errno;
	pa_signal_is_taken();
	pa_tick_all_confined();
	pa_thread_dump_settle(0);
	pa_disposition_share();
	pa_signal_ask_to_learn();
	pa_signal_mask_widen_signalfds();
	errno = saved_errno;
}

struct pa_send pa_send_begin(int to_thread)
{
	struct pa_send send = { .held = false };
	if (!pa_signal_mask_is_active() || !pa_requeue_is_hidden())
		return send;
	/* A vfork child shares this memory, but has its own signals. */
	if (!pa_disposition_is_shared() && syscall(SYS_getpid) == pa_record.pid)
		share_signal();
	pa_signal_mask_settle();
	if (to_thread)
		pa_requeue_note_thread(to_thread);
	send.held = true;
	send.hold = pa_requeue_lock();
	return send;
}

void pa_send_end(struct pa_send send)
{
	if (send.held)
		pa_requeue_unlock(send.hold);
}

static bool is_to_self(pid_t pid)
{
	return pid <= 0 || pid == syscall(SYS_getpid); /* a process group may be the own one */
}

bool pa_send_is_watched(long number, long a, long b, long c)
{
	if (number == SYS_tgkill || number == SYS_rt_tgsigqueueinfo)
		return (int)c == pa_record.signal && is_to_self((pid_t)a);
	if (number == SYS_kill || number == SYS_rt_sigqueueinfo)
		return (int)b == pa_record.signal && is_to_self((pid_t)a);
	return number == SYS_tkill && (int)b == pa_record.signal;
}

#define SEND(to_self, to_thread, call)                          \
	do {                                                    \
		PA_CALM_FLAGS();                                \
		if (number != pa_record.signal || !(to_self))   \
			return call;                            \
		struct pa_send send = pa_send_begin(to_thread); \
		int result = call;                              \
		pa_send_end(send);                              \
		return result;                                  \
	} while (0)

PA_ENTRY int kill(pid_t pid, int number)
{
	SEND(is_to_self(pid), 0, PA_REAL(kill)(pid, number));
}

PA_ENTRY int killpg(pid_t group, int number)
{
	SEND(true, 0, PA_REAL(killpg)(group, number));
}

PA_ENTRY int raise(int number)
{
	SEND(true, 0, PA_REAL(raise)(number));
}

PA_ENTRY int gsignal(int number)
{
	SEND(true, 0, PA_REAL(gsignal)(number));
}

PA_ENTRY int tgkill(pid_t pid, pid_t tid, int number)
{
	SEND(is_to_self(pid), 0, PA_REAL(tgkill)(pid, tid, number));
}

PA_ENTRY int pthread_kill(pthread_t thread, int number)
{
	SEND(true, 0, PA_REAL(pthread_kill)(thread, number));
}

PA_ENTRY int sigqueue(pid_t pid, int number, const union sigval value)
{
	SEND(is_to_self(pid), 0, PA_REAL(sigqueue)(pid, number, value));
}

/* The clock of a thread contains its tid: MAKE_THREAD_CPUCLOCK of the kernel. */
static int tid_of_pthread(pthread_t thread)
{
	clockid_t clock;
	return pthread_getcpuclockid(thread, &clock) == 0 ?
		(int)~((unsigned)clock >> 3 | 7u << 29) :
		0;
}

PA_ENTRY int pthread_sigqueue(pthread_t thread, int number, const union sigval value)
{
	SEND(true, tid_of_pthread(thread), PA_REAL(pthread_sigqueue)(thread, number, value));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "requeue.h"

#include <sys/syscall.h>
#include <time.h>

#include "../arch/arch.h"
#include "../base/assert.h"
#include "../base/atomic.h"
#include "disposition.h"
#include "switches.h"

#include "../base/banned.h"

/* Threads that got the signal queued to them, with a value, while they may have hidden it. */
#define THREADS 16u

PA_TLS struct pa_requeue_self pa_requeue_self;

/* Signals taken from the queue, in order; guard: the latch. Static, since the stack may be a small
 * alternate one. */
static PA_LARGE siginfo_t signals_behind[PA_REQUEUE_BEHIND];

static struct {
	struct pa_latch lock;
	PA_ATOMIC(uint32_t) hidden;          /* relaxed */
	PA_ATOMIC(uint32_t) next;            /* place in threads; relaxed */
	PA_ATOMIC(int32_t) threads[THREADS]; /* tids; relaxed, before the signal is sent */
} state;

void pa_requeue_note_hidden(void)
{
	pa_store_relaxed(&state.hidden, 1);
}

bool pa_requeue_is_hidden(void)
{
	return pa_load_relaxed(&state.hidden);
}

void pa_requeue_note_thread(int32_t tid)
{
	pa_store_relaxed(&state.threads[pa_add_relaxed(&state.next, 1) % THREADS], tid);
}

static bool is_noted(int32_t tid)
{
	for (uint32_t i = 0; i < THREADS; i++)
		if (pa_load_relaxed(&state.threads[i]) == tid)
			return true;
	return false;
}

struct pa_latch_hold pa_requeue_lock(void)
{
	return pa_latch_enter(&state.lock);
}

void pa_requeue_unlock(struct pa_latch_hold hold)
{
	pa_latch_leave(&state.lock, hold);
}

void pa_requeue_put_back(int signal, const siginfo_t *info)
{
	long pid = pa_arch_syscall(SYS_getpid, 0, 0, 0, 0);
	long tid = pa_arch_syscall(SYS_gettid, 0, 0, 0, 0);
	bool to_thread =
		info->si_code == SI_TKILL || (info->si_code == SI_QUEUE && is_noted((int32_t)tid));
	long error = to_thread ?
		pa_arch_syscall(SYS_rt_tgsigqueueinfo, pid, tid, signal, (long)info) :
		pa_arch_syscall(SYS_rt_sigqueueinfo, pid, signal, (long)info, 0);
	if (!error)
		return;
	/* Denied: the signal without its value, but not lost. */
	if (to_thread)
		pa_arch_syscall(SYS_tgkill, pid, tid, signal, 0);
	else
		pa_arch_syscall(SYS_kill, pid, signal, 0, 0);
}

/* Moves pending instances of the signal into behind; returns their number. */
static unsigned take_pending_locked(uint64_t bit)
{
	const struct timespec now = { 0, 0 };
	unsigned count = 0;
	while (count < PA_REQUEUE_BEHIND &&
		pa_arch_syscall6(SYS_rt_sigtimedwait, (long)&bit, (long)&signals_behind[count],
			(long)&now, sizeof(bit), 0, 0) > 0)
		count++;
	return count;
}

static void queue_before_others(int signal, uint64_t bit, const siginfo_t *info)
{
	PA_ASSERT(signal > 0 && bit == (uint64_t)1 << (signal - 1));
	struct pa_latch_hold hold = pa_requeue_lock();
	unsigned count = take_pending_locked(bit);
	PA_ASSERT(count <= PA_REQUEUE_BEHIND);
	pa_requeue_put_back(signal, info);
	for (unsigned i = 0; i < count; i++)
		pa_requeue_put_back(signal, &signals_behind[i]);
	pa_requeue_unlock(hold);
}

bool pa_requeue_signal(int signal, const siginfo_t *info, ucontext_t *context, bool by_mask)
{
	uint64_t bit = (uint64_t)1 << (signal - 1);
	if (pa_requeue_self.settled || sigismember(&context->uc_sigmask, signal) == 1 ||
		!pa_disposition_has_neighbours(&context->uc_sigmask))
		return false;
	pa_requeue_self.settled = true;
	sigaddset(&context->uc_sigmask, signal);
	if (by_mask)
		return false;
	sigaddset(&pa_requeue_self.waits, signal);
	queue_before_others(signal, bit, info);
	return true;
}

void pa_requeue_atfork_child(void)
{
	pa_latch_reset(&state.lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "queue_clock.h"

#include <unistd.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/thread_cpu.h"

static struct {
	struct pa_lock lock;
	/* guard: lock */
	pid_t tid;            /* of the render thread; 0: none */
	bool busy;            /* since the time below, when the other two were as here */
	int64_t busy_from_ns; /* CLOCK_MONOTONIC */
	int64_t cpu_from_ns;  /* of the render thread */
	int64_t stalled_ns;   /* since then */
	int64_t behind_ns;    /* CLOCK_MONOTONIC, by earlier times */
} state = { .lock = PA_LOCK_INIT(PA_LOCK_QUEUE_CLOCK) };

/* How much the clock has fallen behind since the jobs came. */
static int64_t behind_since_locked(int64_t now_ns)
{
	PA_ASSERT_HELD(PA_LOCK_QUEUE_CLOCK);
	if (!state.busy)
		return 0;
	int64_t all_ns = now_ns - state.busy_from_ns, lived_ns = state.stalled_ns;

	if (state.tid)
		lived_ns += pa_thread_cpu_ns(state.tid) - state.cpu_from_ns;
	if (lived_ns < all_ns / PA_QUEUE_CLOCK_SLOWEST)
		lived_ns = all_ns / PA_QUEUE_CLOCK_SLOWEST;
	return lived_ns < all_ns ? all_ns - lived_ns : 0;
}

static void change_locked(bool busy, pid_t tid)
{
	PA_ASSERT_HELD(PA_LOCK_QUEUE_CLOCK);
	int64_t now_ns = pa_clock_mono_ns();

	state.behind_ns += behind_since_locked(now_ns);
	state.busy = busy;
	state.tid = tid;
	state.busy_from_ns = now_ns;
	state.cpu_from_ns = tid ? pa_thread_cpu_ns(tid) : 0;
	state.stalled_ns = 0;
}

static void change_thread(pid_t tid)
{
	pa_lock(&state.lock);
	change_locked(state.busy, tid);
	pa_unlock(&state.lock);
}

void pa_queue_clock_attend(void)
{
	change_thread(gettid());
}

void pa_queue_clock_leave(void)
{
	change_thread(0);
}

void pa_queue_clock_busy(bool busy)
{
	pa_lock(&state.lock);
	if (busy != state.busy)
		change_locked(busy, state.tid);
	pa_unlock(&state.lock);
}

int64_t pa_queue_clock_wait(struct pa_wake_word *word, uint32_t seen, int64_t ns, bool for_client)
{
	int64_t start_ns = pa_clock_mono_ns();

	pa_wake_word_wait(word, seen, ns);
	int64_t slept_ns = pa_clock_mono_ns() - start_ns;
	pa_lock(&state.lock);
	state.stalled_ns += for_client ? slept_ns : 0;
	pa_unlock(&state.lock);
	return slept_ns;
}

int64_t pa_queue_clock_ns(void)
{
	pa_lock(&state.lock);
	int64_t now_ns = pa_clock_mono_ns();
	now_ns -= state.behind_ns + behind_since_locked(now_ns);
	pa_unlock(&state.lock);
	return now_ns;
}

void pa_queue_clock_reset(void)
{
	pa_lock_reset(&state.lock);
	state.tid = 0;
	state.busy = false;
}

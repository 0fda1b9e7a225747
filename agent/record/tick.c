/* SPDX-License-Identifier: Apache-2.0 */
#include "tick.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "../arch/arch.h"
#include "../base/clock.h"
#include "../base/hash_table.h"
#include "../base/lock.h"
#include "labels.h"
#include "switches.h"
#include "registry.h"
#include "sample.h"
#include "sandbox.h"
#include "signal.h"
#include "tasks.h"
#include "tick_timers.h"

#include "../base/banned.h"

/* How long stop waits for threads that create or delete their timer: a few system calls, unless the
 * thread is stopped there. */
#define OTHERS_TIMEOUT_NS PA_NS_PER_S
#define CONFINE_TIMEOUT_NS (100 * PA_NS_PER_MS) /* for the start or stop of a profile */
#define OTHERS_POLL_NS (PA_NS_PER_MS / 10)

static struct {
	struct pa_lock lock;          /* start, stop; PA_LOCK_CONFIG */
	int64_t period_ns;            /* constant while ticks are on; at most 1 s */
	uint64_t seed;                /* of the phases; constant while ticks are on */
	bool running;                 /* guard: lock */
	int32_t filters;              /* seccomp filters of the starting thread; guard: lock */
	PA_ATOMIC(uint32_t) confined; /* a thread has more filters: it may create threads;
				       * relaxed */
	/* Threads that are creating or deleting their own timer: stop waits for them; acq_rel. */
	PA_ATOMIC(uint32_t) busy;
} state = { .lock = PA_LOCK_INIT(PA_LOCK_CONFIG) };

/*
 * Each period of a thread's CPU time has one tick: with equal distances a program that works in
 * step with the period would always be seen in the same phase. From one period to the next the tick
 * moves on by the golden ratio, which covers all phases evenly, more so than random points would.
 * The first phase is random for each thread and start: the expected number of ticks is the CPU time
 * in periods, however short that is. period: counted from 0 of the thread's CPU clock.
 */
static int64_t phase_in_period(int32_t tid, uint64_t period)
{
	PA_ASSERT(state.period_ns > 0 && state.period_ns <= PA_NS_PER_S);
	uint64_t period_ns = (uint64_t)state.period_ns;
	uint64_t first_ns = pa_hash_table_hash(state.seed + (uint32_t)tid) % period_ns;
	uint64_t step_ns = period_ns * 618033989 / 1000000000;
	return (int64_t)((first_ns + period * step_ns) % period_ns);
}

/* Number of ticks up to that CPU time of the thread. */
static uint64_t ticks_until(int32_t tid, int64_t cpu_ns)
{
	PA_ASSERT(cpu_ns >= 0);
	uint64_t periods = (uint64_t)(cpu_ns / state.period_ns);
	return periods + (cpu_ns % state.period_ns >= phase_in_period(tid, periods));
}

/* The same of the time until the tick with that number, from 0. */
static int64_t time_of_tick(int32_t tid, uint64_t tick)
{
	return (int64_t)tick * state.period_ns + phase_in_period(tid, tick);
}

/* Ticks due by the thread's CPU time that the timer did not deliver: the kernel checks CPU timers
 * only at scheduler ticks, and a thread that never runs for long may see few. */
static uint32_t residual_ticks(int32_t tid, int64_t cpu_ns)
{
	uint32_t due = (uint32_t)ticks_until(tid, cpu_ns) - pa_tick_timers_charged(tid);
	return (int32_t)due > 0 ? due : 0;
}

static bool claim_timer(int32_t tid, int64_t cpu_ns)
{
	return pa_tick_timers_claim(tid, (uint32_t)ticks_until(tid, cpu_ns));
}

/*
 * Creates the claimed timer. A first tick within the time of the calls around could come after stop
 * has released the signal: it comes with the next one. False: the kernel refused.
 */
static bool arm_timer(int32_t tid, int64_t cpu_ns)
{
	const int64_t least_ns = 100000;
	int64_t due_ns = time_of_tick(tid, ticks_until(tid, cpu_ns));
	if (due_ns - cpu_ns < least_ns)
		due_ns += state.period_ns;
	bool armed = pa_tick_timers_arm(tid, due_ns, state.period_ns);
	/* Sampling may have stopped meanwhile, after its clean-up passed this entry. */
	if (!pa_load_acquire(&pa_switches->cpu))
		pa_tick_timers_delete(tid);
	return armed;
}

static void note_ticks(int32_t tid, uint64_t ticks)
{
	pa_tick_timers_charge(tid, (uint32_t)ticks);
	uint64_t until = ticks_until(tid, pa_clock_thread_cpu_ns());
	int32_t behind = (int32_t)((uint32_t)until - pa_tick_timers_charged(tid));
	pa_tick_timers_set(tid, time_of_tick(tid, until - (uint64_t)(int64_t)behind),
		state.period_ns);
}

static int32_t tid_of_tick(const siginfo_t *info)
{
	return (int32_t)(uint32_t)(uintptr_t)info->si_value.sival_ptr;
}

static void count_tick_record(bool kept, uint64_t ticks)
{
	if (kept)
		PA_COUNT_EVENT(cpu_events);
	else
		PA_COUNT_EVENTS(lost_cpu_ring, ticks);
}

static void record_tick(struct pa_thread *thread, uint64_t ticks, const ucontext_t *context)
{
	PA_ASSERT(ticks && thread->registered);
	struct pa_event event = {
		.kind = PA_EVENT_CPU,
		.flags = PA_EVENT_LEAF,
		.tid = thread->tid,
		.time_ns = pa_clock_mono_ns(),
		.value = { ticks },
		.labels = pa_labels_id(thread->labels),
	};
	prctl(PR_GET_NAME, event.name);
	bool kept;
	if (context) {
		struct pa_regs regs;
		pa_arch_from_context(&regs, context);
		kept = pa_sample_stack(&event, thread, pa_arch_cursor(&regs), &regs, false);
	} else {
		event.flags = PA_EVENT_EXIT;
		kept = pa_sample_plain(&event, &thread->start_routine, 1);
	}
	count_tick_record(kept, ticks);
}

/* Of a thread that lives on, at a profile's end: its stack when it used the time is unknown. */
static PA_AGENT void record_rest(int32_t tid)
{
	struct pa_thread copy;
	int64_t cpu_ns = pa_clock_ns(pa_tick_timers_clock(tid)); /* 0: it has ended */
	uint32_t ticks = cpu_ns ? residual_ticks(tid, cpu_ns) : 0;
	if (!ticks)
		return;
	uintptr_t routine = pa_registry_copy(tid, &copy) ? copy.start_routine : 0;
	struct pa_event event = {
		.kind = PA_EVENT_CPU,
		.flags = PA_EVENT_REST,
		.tid = tid,
		.time_ns = pa_clock_mono_ns(),
		.value = { ticks },
	};
	char name[PA_EVENT_NAME_BYTES + 1]; /* of 15 bytes at most, and a line break (proc(5)) */
	if (pa_tasks_read(tid, "comm", name, sizeof(name)))
		memcpy(event.name, name, strlen(name) - 1);
	count_tick_record(pa_sample_plain(&event, &routine, 1), ticks);
}

void pa_tick_answer(const siginfo_t *info, const ucontext_t *context)
{
	int saved_errno = errno;
	struct pa_thread *thread = &pa_thread_self;
	if (!pa_load_relaxed(&pa_switches->cpu) || thread->role == PA_ROLE_AGENT)
		goto out;
	uint64_t ticks = 1 + (uint64_t)(info->si_overrun > 0 ? info->si_overrun : 0);
	if (pa_unlikely(!thread->registered))
		pa_registry_add(thread);
	if (pa_unlikely(thread->tid != tid_of_tick(info))) {
		/* A raw clone(2) thread that shares its creator's TLS must not write it. */
		PA_COUNT_EVENTS(lost_cpu_thread, ticks);
		goto out;
	}
	note_ticks(thread->tid, ticks);
	record_tick(thread, ticks, context);
out:
	errno = saved_errno;
}

static PA_AGENT void arm_existing(void *unused, int32_t tid)
{
	PA_ASSERT_HELD(PA_LOCK_CONFIG);
	(void)unused;
	if (pa_registry_is_agent(tid))
		return;
	int32_t filters = pa_tasks_filters(tid);
	if (filters == PA_TASKS_ENDED)
		return;
	bool sandboxed = filters > state.filters;
	if (sandboxed)
		pa_store_relaxed(&state.confined, 1);
	struct pa_registry_view thread = pa_registry_look(tid);
	if (sandboxed || thread.refuses_signal ||
		(!thread.is_known && pa_tasks_is_of_kernel(tid))) {
		PA_COUNT_EVENT(timers_failed);
		return;
	}
	int64_t cpu_ns = pa_clock_ns(pa_tick_timers_clock(tid));
	if (!claim_timer(tid, cpu_ns))
		return;
	if (!arm_timer(tid, cpu_ns))
		PA_COUNT_EVENT(timers_failed);
	/* The thread's state changed meanwhile, before the timer existed. */
	if (pa_registry_look(tid).refuses_signal)
		pa_tick_timers_delete(tid);
}

static void enter_ticks(void)
{
	pa_add_acq_rel(&state.busy, 1);
	pa_fence_full(); /* pairs with stop, which switches off and then reads busy */
}

static void leave_ticks(void)
{
	PA_ASSERT(pa_load_relaxed(&state.busy));
	pa_sub_acq_rel(&state.busy, 1);
}

/* A pending tick is delivered at the end of a system call in here at the latest. */
static void drop_timer(int32_t tid)
{
	enter_ticks();
	if (pa_load_acquire(&pa_switches->cpu) && pa_tick_timers_delete(tid))
		PA_COUNT_EVENT(timers_failed);
	leave_ticks();
}

void pa_tick_thread_small_altstack(struct pa_thread *thread)
{
	int32_t tid = pa_registry_tid(thread);
	pa_store_relaxed(&thread->small_altstack, 1);
	pa_fence_full();
	drop_timer(tid);
}

/* A timer that is created or deleted while sampling stops may tick once more. */
static void await_others(void)
{
	int64_t end_ns = pa_clock_mono_ns() + OTHERS_TIMEOUT_NS;
	pa_fence_full();
	/* Ends: at end_ns. */
	while (pa_load_acquire(&state.busy)) {
		if (pa_clock_mono_ns() >= end_ns) {
			pa_signal_keep();
			return;
		}
		pa_futex_sleep(OTHERS_POLL_NS); /* no wake: a sandbox may deny it */
	}
}

static void stop_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_CONFIG);
	PA_ASSERT(state.running);
	pa_store_release(&pa_switches->cpu, 0);
	pa_tick_timers_delete_all(record_rest);
	await_others();
	pa_signal_release(false); /* timers do not show which threads have had their ticks */
	state.running = false;
}

int pa_tick_start(unsigned rate_hz)
{
	PA_ASSERT(rate_hz);
	int error = -EBUSY;
	pa_lock(&state.lock);
	if (state.running)
		goto out;
	error = -EPERM;
	if (!pa_sandbox_may(&pa_thread_self, PA_CALLS_TIMER | PA_CALLS_RETURN))
		goto out;
	state.period_ns = PA_NS_PER_S / rate_hz;
	state.seed = pa_thread_random(&pa_thread_self);
	struct pa_tasks_own own = pa_tasks_own();
	pa_tick_timers_begin(own.signal_room / 2);
	error = pa_signal_take();
	if (error)
		goto out;
	state.running = true;
	state.filters = own.filters;
	pa_store_release(&pa_switches->cpu, 1);
	if (pa_tasks_each(arm_existing, NULL) != 0) {
		error = -ENOENT;
		stop_locked();
	}
out:
	pa_unlock(&state.lock);
	return error;
}

void pa_tick_stop(void)
{
	pa_lock(&state.lock);
	if (state.running)
		stop_locked();
	pa_unlock(&state.lock);
}

void pa_tick_charge(void)
{
	pa_lock(&state.lock);
	if (state.running)
		pa_tick_timers_each(record_rest);
	pa_unlock(&state.lock);
}

static void begin_ticks(int32_t tid)
{
	int64_t cpu_ns = pa_clock_thread_cpu_ns();
	if (claim_timer(tid, cpu_ns) && !arm_timer(tid, cpu_ns))
		PA_COUNT_EVENT(timers_failed);
}

void pa_tick_thread_begin(struct pa_thread *thread)
{
	/* It inherits its creator's filters, which may deny the calls below. */
	if (pa_load_relaxed(&state.confined) || !pa_sandbox_begin(thread, PA_CALLS_TIMER)) {
		PA_COUNT_EVENT(timers_failed);
		return;
	}
	enter_ticks();
	if (pa_load_acquire(&pa_switches->cpu))
		begin_ticks(thread->tid);
	leave_ticks();
	pa_sandbox_end();
}

/* True if it has a timer of this profile, whose residue is the thread's to charge. */
static bool has_ticks(const struct pa_thread *thread)
{
	return pa_load_acquire(&pa_switches->cpu) && thread->registered &&
		pa_tick_timers_has(thread->tid);
}

static void charge_residue(struct pa_thread *thread)
{
	uint32_t ticks = 0;
	enter_ticks();
	if (pa_load_acquire(&pa_switches->cpu) && pa_tick_timers_delete(thread->tid))
		ticks = residual_ticks(thread->tid, pa_clock_thread_cpu_ns());
	if (ticks)
		record_tick(thread, ticks, NULL);
	leave_ticks();
}

void pa_tick_thread_end(struct pa_thread *thread)
{
	if (has_ticks(thread) && pa_sandbox_begin(thread, PA_CALLS_TIMER | PA_CALLS_IDENTITY)) {
		charge_residue(thread);
		pa_sandbox_end();
	}
}

void pa_tick_thread_confined(struct pa_thread *thread)
{
	if (has_ticks(thread)) {
		charge_residue(thread);
		PA_COUNT_EVENT(timers_failed);
	} else {
		drop_timer(pa_registry_tid(thread));
	}
}

void pa_tick_all_confined(void)
{
	if (!pa_lock_timed(&state.lock, CONFINE_TIMEOUT_NS))
		return;
	if (state.running) {
		pa_store_release(&pa_switches->cpu, 0);
		PA_COUNT_EVENTS(timers_failed, pa_tick_timers_delete_all(NULL));
		await_others();
		pa_signal_release_now();
		state.running = false;
	}
	pa_unlock(&state.lock);
}

void pa_tick_atfork_child(void)
{
	pa_lock_reset(&state.lock);
	if (state.running)
		state.running = false;
	pa_reset(&state.busy, 0);
	pa_tick_timers_atfork_child();
}

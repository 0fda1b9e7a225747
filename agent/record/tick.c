/* SPDX-License-Identifier: Apache-2.0 */
#include "tick.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../arch/arch.h"
#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "labels.h"
#include "switches.h"
#include "registry.h"
#include "sample.h"
#include "sandbox.h"
#include "signal.h"
#include "tasks.h"

#include "../base/banned.h"

/*
 * Timers by tid, so that the thread itself and the agent thread that lists /proc/self/task agree on
 * one. A tid that the kernel gives again within a profile finds its entry free again. A value is
 * the kernel's timer id + 1, or one of these.
 */
enum { NO_TIMER = 0, ARMING = -1 };

/* How long stop waits for threads that create or delete their timer: a few system calls, unless the
 * thread is stopped there. */
#define OTHERS_TIMEOUT_NS PA_NS_PER_S
#define CONFINE_TIMEOUT_NS (100 * PA_NS_PER_MS) /* for the start or stop of a profile */
#define OTHERS_POLL_NS (PA_NS_PER_MS / 10)

static struct {
	struct pa_lock lock; /* start, stop; PA_LOCK_CONFIG */
	/* Claimed and armed by CAS; the thread that swaps a timer out deletes it. */
	PA_ATOMIC(int32_t) *timers;
	uint32_t tids;                /* number of timers: greater than each tid */
	int64_t period_ns;            /* constant while ticks are on; at most 1 s */
	uint32_t session;             /* number of the last start; constant while ticks are on */
	bool running;                 /* guard: lock */
	int32_t filters;              /* seccomp filters of the starting thread; guard: lock */
	PA_ATOMIC(int32_t) room;      /* number of timers that may still be created; relaxed */
	PA_ATOMIC(uint32_t) confined; /* a thread has more filters: it may create threads;
				       * relaxed */
	/* Threads that are creating or deleting their own timer: stop waits for them; acq_rel. */
	PA_ATOMIC(uint32_t) busy;
} state = { .lock = PA_LOCK_INIT(PA_LOCK_CONFIG) };

/* The CPU clock of any tid: MAKE_THREAD_CPUCLOCK(tid, CPUCLOCK_SCHED) of the kernel. */
static clockid_t cpu_clock_of(int32_t tid)
{
	return (clockid_t)((~(unsigned)tid << 3) | 6);
}

static bool claim_timer(int32_t tid)
{
	PA_ASSERT(state.timers && tid > 0);
	int32_t none = NO_TIMER;
	return (uint32_t)tid < state.tids && pa_cas_acq_rel(&state.timers[tid], &none, ARMING);
}

static void delete_timer_id(int32_t timer)
{
	pa_add_relaxed(&state.room, 1);
	/* Denied by a seccomp filter: the timer runs for the life of the thread. */
	if (syscall(SYS_timer_delete, timer - 1) != 0)
		pa_signal_keep();
}

/* True if there was one. The thread that is arming it, if any, deletes it then. */
static bool delete_timer(int32_t tid)
{
	PA_ASSERT(tid > 0 && (uint32_t)tid < state.tids);
	/* The load avoids touching the page of an unused entry. */
	int32_t timer = pa_load_acquire(&state.timers[tid]);
	if (timer != NO_TIMER)
		timer = pa_swap_acq_rel(&state.timers[tid], NO_TIMER);
	if (timer > 0)
		delete_timer_id(timer);
	return timer != NO_TIMER;
}

/* Each timer takes one queued signal of RLIMIT_SIGPENDING (timer_create(2)): leaves half of them to
 * the program. */
static bool take_room(void)
{
	if (pa_sub_relaxed(&state.room, 1) > 0)
		return true;
	pa_add_relaxed(&state.room, 1);
	return false;
}

/* Of a tick: the tid, and the CPU time when the timer was armed, in us modulo 2^32. */
static uintptr_t tick_value(int32_t tid, int64_t base_ns)
{
	return (uintptr_t)(uint32_t)tid | (uintptr_t)(uint32_t)(base_ns / PA_NS_PER_US) << 32;
}

static int32_t tid_of_tick(const siginfo_t *info)
{
	return (int32_t)(uint32_t)(uintptr_t)info->si_value.sival_ptr;
}

/* The latest time before now that the value stands for. */
static int64_t base_of_tick(const siginfo_t *info, int64_t now_ns)
{
	uint32_t base_us = (uint32_t)((uintptr_t)info->si_value.sival_ptr >> 32);
	return now_ns - (int64_t)((uint32_t)(now_ns / PA_NS_PER_US) - base_us) * PA_NS_PER_US;
}

static int create_timer(int32_t tid, int64_t base_ns)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID };
	event.sigev_signo = pa_record.signal;
	event.sigev_value.sival_ptr = (void *)tick_value(tid, base_ns);
	event._sigev_un._tid = tid;
	int timer;
	if (!take_room())
		return NO_TIMER;
	if (syscall(SYS_timer_create, cpu_clock_of(tid), &event, &timer) == 0)
		return timer + 1;
	pa_add_relaxed(&state.room, 1);
	return NO_TIMER;
}

/* due_ns: of the thread's CPU clock. Later ticks follow by the period. */
static bool set_timer(int32_t timer, int64_t due_ns)
{
	PA_ASSERT(state.period_ns > 0);
	struct itimerspec spec = {
		.it_value = { due_ns / PA_NS_PER_S, due_ns % PA_NS_PER_S },
		.it_interval = { state.period_ns / PA_NS_PER_S, state.period_ns % PA_NS_PER_S },
	};
	return syscall(SYS_timer_settime, timer - 1, TIMER_ABSTIME, &spec, NULL) == 0;
}

/* Creates the claimed timer on tid's CPU clock, which shows base_ns, with its first tick first_ns
 * later. False: the kernel refused, and the claim has ended. */
static bool arm_timer(int32_t tid, int64_t base_ns, int64_t first_ns)
{
	int32_t claim = ARMING, timer = create_timer(tid, base_ns);
	bool set = timer != NO_TIMER && set_timer(timer, base_ns + first_ns);
	bool kept = pa_cas_acq_rel(&state.timers[tid], &claim, set ? timer : NO_TIMER);
	if (timer != NO_TIMER && !(set && kept))
		delete_timer_id(timer);
	/* Sampling may have stopped meanwhile, after its clean-up passed this entry. */
	if (!pa_load_acquire(&pa_switches->cpu))
		delete_timer(tid);
	return set;
}

static int64_t random_phase(struct pa_thread *thread)
{
	PA_ASSERT(state.period_ns > 0);
	return (int64_t)(pa_thread_random(thread) % (uint64_t)state.period_ns);
}

/*
 * Each period of a thread's CPU time has one tick: with equal distances a program that works in
 * step with the period would always be seen in the same phase. From one period to the next the tick
 * moves on by the golden ratio, which covers all phases evenly, more so than random points would.
 */
static int64_t phase_in_period(const struct pa_thread *thread, uint64_t period)
{
	PA_ASSERT(state.period_ns > 0 && state.period_ns <= PA_NS_PER_S);
	uint64_t step_ns = (uint64_t)state.period_ns * 618033989 / 1000000000;
	return (int64_t)(((uint64_t)thread->tick_phase_ns + period * step_ns) %
		(uint64_t)state.period_ns);
}

static void set_next_tick(const struct pa_thread *thread)
{
	PA_ASSERT(thread->tick_session == state.session);
	int32_t timer = pa_load_acquire(&state.timers[thread->tid]);
	int64_t due_ns = thread->tick_base_ns + (int64_t)thread->ticks_seen * state.period_ns +
		phase_in_period(thread, thread->ticks_seen);
	if (timer > 0) /* goes on by the period if this fails */
		set_timer(timer, due_ns);
}

/* Its timer is of this session, and was armed by the agent if the thread does not know it. */
static void note_ticks(struct pa_thread *thread, const siginfo_t *info, uint64_t ticks)
{
	if (thread->tick_session != state.session) {
		thread->tick_session = state.session;
		thread->tick_base_ns = base_of_tick(info, pa_clock_thread_cpu_ns());
		thread->tick_phase_ns = random_phase(thread);
		thread->ticks_seen = 0;
	}
	thread->ticks_seen += ticks;
	set_next_tick(thread);
}

/*
 * Time of the first tick. A phase shorter than the calls around arm_timer() could tick after stop
 * has released the signal: such a tick is left to the residue at the thread's exit.
 */
static int64_t first_tick(int64_t phase_ns)
{
	PA_ASSERT(phase_ns >= 0 && phase_ns < state.period_ns);
	const int64_t least_ns = 100000;
	return phase_ns < least_ns ? phase_ns + state.period_ns : phase_ns;
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
	if (kept)
		PA_COUNT_EVENT(cpu_events);
	else
		PA_COUNT_EVENTS(lost_cpu_ring, ticks);
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
	note_ticks(thread, info, ticks);
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
	if (sandboxed || pa_registry_refuses_signal(tid) || pa_tasks_is_of_kernel(tid)) {
		PA_COUNT_EVENT(timers_failed);
		return;
	}
	if (!claim_timer(tid))
		return;
	if (!arm_timer(tid, pa_clock_ns(cpu_clock_of(tid)),
		    first_tick(random_phase(&pa_thread_self))))
		PA_COUNT_EVENT(timers_failed);
	/* The thread's state changed meanwhile, before the timer existed. */
	if (pa_registry_refuses_signal(tid))
		delete_timer(tid);
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
	bool on = pa_load_acquire(&pa_switches->cpu) && (uint32_t)tid < state.tids;
	if (on && delete_timer(tid))
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

static size_t timers_bytes(void)
{
	return state.tids * sizeof(state.timers[0]);
}

static bool have_timers(void)
{
	if (state.timers) {
		/* Zeroes them, and holds no memory between profiles. */
		madvise((void *)state.timers, timers_bytes(), MADV_DONTNEED);
		return true;
	}
	state.tids = pa_tasks_limit(); /* may be raised later: threads above have no timer */
	state.timers = pa_map_table(timers_bytes());
	return state.timers != NULL;
}

/* Returns the number of timers. A claim under way counts as one. */
static uint32_t delete_all_timers(void)
{
	uint32_t deleted = 0;
	for (uint32_t tid = 1; tid < state.tids; tid++)
		deleted += delete_timer((int32_t)tid);
	return deleted;
}

static void stop_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_CONFIG);
	PA_ASSERT(state.running && state.timers);
	pa_store_release(&pa_switches->cpu, 0);
	delete_all_timers();
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
	error = -ENOMEM;
	if (!have_timers())
		goto out;
	state.period_ns = PA_NS_PER_S / rate_hz;
	state.session++;
	pa_store_relaxed(&state.room, pa_tasks_signal_room() / 2);
	error = pa_signal_take();
	if (error)
		goto out;
	state.running = true;
	state.filters = pa_tasks_filters(0);
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

static void begin_ticks(struct pa_thread *thread)
{
	PA_ASSERT(thread == &pa_thread_self && !thread->ticks_on);
	thread->ticks_seen = 0;
	thread->tick_session = state.session;
	thread->tick_base_ns = pa_clock_thread_cpu_ns();
	thread->tick_phase_ns = random_phase(thread);
	thread->ticks_on = true;
	if (!arm_timer(thread->tid, thread->tick_base_ns, first_tick(thread->tick_phase_ns))) {
		thread->ticks_on = false;
		PA_COUNT_EVENT(timers_failed);
	}
}

void pa_tick_thread_begin(struct pa_thread *thread)
{
	/* It inherits its creator's filters, which may deny the calls below. */
	if (pa_load_relaxed(&state.confined) || !pa_sandbox_begin(thread, PA_CALLS_TIMER)) {
		PA_COUNT_EVENT(timers_failed);
		return;
	}
	enter_ticks();
	if (pa_load_acquire(&pa_switches->cpu) && claim_timer(thread->tid))
		begin_ticks(thread);
	leave_ticks();
	pa_sandbox_end();
}

/* Ticks due by the thread's CPU time that the timer did not deliver: the kernel checks CPU timers
 * only at scheduler ticks, and a short-lived thread may see none. */
static uint64_t residual_ticks(const struct pa_thread *thread)
{
	PA_ASSERT(state.period_ns > 0);
	int64_t used_ns = pa_clock_thread_cpu_ns() - thread->tick_base_ns;
	uint64_t periods = (uint64_t)(used_ns / state.period_ns);
	uint64_t due = periods + (used_ns % state.period_ns >= phase_in_period(thread, periods));
	return due > thread->ticks_seen ? due - thread->ticks_seen : 0;
}

static void charge_residue(struct pa_thread *thread)
{
	PA_ASSERT(thread->ticks_on && (uint32_t)thread->tid < state.tids);
	enter_ticks();
	delete_timer(thread->tid);
	leave_ticks();
	thread->ticks_on = false;
	if (!pa_load_relaxed(&pa_switches->cpu))
		return;
	uint64_t ticks = residual_ticks(thread);
	if (ticks)
		record_tick(thread, ticks, NULL);
}

void pa_tick_thread_end(struct pa_thread *thread)
{
	if (thread->ticks_on && pa_sandbox_begin(thread, PA_CALLS_TIMER | PA_CALLS_IDENTITY)) {
		charge_residue(thread);
		pa_sandbox_end();
	}
	thread->ticks_on = false;
}

void pa_tick_thread_confined(struct pa_thread *thread)
{
	if (thread->ticks_on) {
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
		PA_COUNT_EVENTS(timers_failed, delete_all_timers());
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
	/* The timer ids are the parent's, and invalid here. */
	if (state.timers)
		madvise((void *)state.timers, timers_bytes(), MADV_DONTNEED);
}

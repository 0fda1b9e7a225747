#include "tick.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "labels.h"
#include "on.h"
#include "sample.h"
#include "sandbox.h"
#include "signal.h"
#include "tasks.h"

#include "../base/banned.h"

/*
 * Timers by thread: open addressing on the tid, so that the thread itself and the agent that lists
 * /proc/self/task agree on one place. Places are never reused within a profile.
 */
#define SLOTS 65536u

/* How long stop waits for threads that make or delete their timer: a few system calls, unless the
 * thread is stopped there. */
#define OTHERS_PATIENCE_NS PA_NS_PER_S
#define CONFINE_PATIENCE_NS (100 * PA_NS_PER_MS) /* for a profile that begins or ends */
#define OTHERS_LOOK_NS (PA_NS_PER_MS / 10)

struct slot {
	PA_ATOMIC(int32_t) tid;   /* 0 free; claimed by CAS */
	PA_ATOMIC(int32_t) timer; /* kernel's timer id + 1; 0 none. Who swaps it out deletes it. */
};

static struct {
	struct pa_lock lock; /* start, stop; PA_LOCK_CONFIG */
	struct slot *slots;
	int64_t period_ns;   /* constant while ticks are on; at most 1 s */
	bool running;        /* guard: lock */
	int32_t filters;     /* seccomp filters of who starts; guard: lock */
	PA_ATOMIC(int32_t) room; /* timers that may still be made; relaxed */
	PA_ATOMIC(uint32_t) confined; /* a thread has more: it may start others; relaxed */
	/* Threads that make or delete their own timer now: stop waits for them; acq_rel. */
	PA_ATOMIC(uint32_t) busy;
} state = { .lock = PA_LOCK_INIT(PA_LOCK_CONFIG) };

/* The thread CPU clock of any tid: the kernel's MAKE_THREAD_CPUCLOCK(tid, CPUCLOCK_SCHED). */
static clockid_t cpu_clock_of(int32_t tid)
{
	return (clockid_t)((~(unsigned)tid << 3) | 6);
}

static struct slot *claim_slot(int32_t tid)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &state.slots[((uint32_t)tid + i) & (SLOTS - 1)];
		int32_t found = 0;
		if (pa_cas_acq_rel(&slot->tid, &found, tid))
			return slot;
		if (found == tid)
			return NULL;
	}
	return NULL;
}

static void delete_timer(struct slot *slot)
{
	/* The load spares the page of a slot that was never used. */
	int32_t timer = pa_load_acquire(&slot->timer) ? pa_swap_acq_rel(&slot->timer, 0) : 0;
	/* Refused, by a filter of system calls: it goes on for the life of the thread. */
	if (!timer)
		return;
	pa_add_relaxed(&state.room, 1);
	if (syscall(SYS_timer_delete, timer - 1) != 0)
		pa_signal_keep();
}

/* Each timer takes one of the signals that the program may have queued: half are left to it. */
static bool take_room(void)
{
	if (pa_sub_relaxed(&state.room, 1) > 0)
		return true;
	pa_add_relaxed(&state.room, 1);
	return false;
}

/* A timer on tid's CPU clock whose first tick is after first_ns. False: the kernel refused. */
static bool arm(struct slot *slot, int32_t tid, int64_t first_ns)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID };
	event.sigev_signo = pa_record.signal;
	event.sigev_value.sival_int = tid;
	event._sigev_un._tid = tid;
	int timer;
	if (!take_room())
		return false;
	if (syscall(SYS_timer_create, cpu_clock_of(tid), &event, &timer) != 0) {
		pa_add_relaxed(&state.room, 1);
		return false;
	}
	pa_store_release(&slot->timer, timer + 1);
	struct itimerspec spec = {
		.it_value = { first_ns / PA_NS_PER_S, first_ns % PA_NS_PER_S },
		.it_interval = { state.period_ns / PA_NS_PER_S, state.period_ns % PA_NS_PER_S },
	};
	if (syscall(SYS_timer_settime, timer, 0, &spec, NULL) != 0) {
		delete_timer(slot);
		return false;
	}
	/* Sampling may have stopped meanwhile, and its clean-up passed this slot. */
	if (!pa_load_acquire(&pa_on->cpu))
		delete_timer(slot);
	return true;
}

static int64_t random_phase(struct pa_thread *thread)
{
	return (int64_t)(pa_thread_random(thread) % (uint64_t)state.period_ns);
}

/*
 * When the timer is to fire first. A phase shorter than what the calls around arm() use would let a
 * tick come after stop has given the signal back: it is left to the residue at the thread's exit.
 */
static int64_t first_tick(int64_t phase_ns)
{
	const int64_t least_ns = 100000;
	return phase_ns < least_ns ? phase_ns + state.period_ns : phase_ns;
}

static void record_tick(struct pa_thread *thread, uint64_t ticks, const ucontext_t *context)
{
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
		pa_regs_from_context(&regs, context);
		kept = pa_sample_stack(&event, thread, pa_regs_cursor(&regs), &regs, false);
	} else {
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
	if (!pa_load_relaxed(&pa_on->cpu) || thread->role == PA_ROLE_AGENT)
		goto out;
	uint64_t ticks = 1 + (uint64_t)(info->si_overrun > 0 ? info->si_overrun : 0);
	if (pa_unlikely(!thread->met))
		pa_thread_meet(thread);
	if (pa_unlikely(thread->tid != info->si_value.sival_int)) {
		/* A raw clone that shares its creator's TLS: it must not touch it. */
		PA_COUNT_EVENTS(lost_cpu_thread, ticks);
		goto out;
	}
	thread->ticks_seen += ticks;
	record_tick(thread, ticks, context);
out:
	errno = saved_errno;
}

static void arm_existing(void *unused, int32_t tid)
{
	(void)unused;
	if (pa_thread_is_agent(tid))
		return;
	bool sandboxed = pa_tasks_filters(tid) > state.filters;
	if (sandboxed)
		pa_store_relaxed(&state.confined, 1);
	if (sandboxed || pa_thread_is_deaf(tid) || pa_tasks_is_of_kernel(tid)) {
		PA_COUNT_EVENT(timers_failed);
		return;
	}
	struct slot *slot = claim_slot(tid);
	if (slot && !arm(slot, tid, first_tick(random_phase(&pa_thread_self))))
		PA_COUNT_EVENT(timers_failed);
	/* It became so meanwhile, and found no timer to delete. */
	if (slot && pa_thread_is_deaf(tid))
		delete_timer(slot);
}

static void enter(void)
{
	pa_add_acq_rel(&state.busy, 1);
	pa_fence_full(); /* against stop, which switches off and then looks at busy */
}

static void leave(void)
{
	pa_sub_acq_rel(&state.busy, 1);
}

static void delete_timer_of(int32_t tid)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &state.slots[((uint32_t)tid + i) & (SLOTS - 1)];
		int32_t found = pa_load_acquire(&slot->tid);
		if (found == tid) {
			delete_timer(slot);
			PA_COUNT_EVENT(timers_failed);
		}
		if (found == tid || !found)
			return;
	}
}

/* Who has a tick pending gets it at the end of a system call in here at the latest. */
static void drop_timer(int32_t tid)
{
	enter();
	if (pa_load_acquire(&pa_on->cpu))
		delete_timer_of(tid);
	leave();
}

void pa_tick_thread_deaf(struct pa_thread *thread)
{
	int32_t tid = pa_thread_tid(thread);
	pa_store_relaxed(&thread->deaf, 1);
	pa_fence_full();
	drop_timer(tid);
}

/* A timer that is being made or deleted while sampling stops may tick once more. */
static void await_others(void)
{
	int64_t end_ns = pa_clock_mono_ns() + OTHERS_PATIENCE_NS;
	pa_fence_full();
	/* Ends: at end_ns. */
	while (pa_load_acquire(&state.busy)) {
		if (pa_clock_mono_ns() >= end_ns) {
			pa_signal_keep();
			return;
		}
		pa_futex_rest(OTHERS_LOOK_NS); /* no wake: a sandbox may forbid it */
	}
}

static bool have_slots(void)
{
	size_t bytes = SLOTS * sizeof(struct slot);
	if (state.slots) {
		/* Zero again, and no memory held between profiles. */
		madvise(state.slots, bytes, MADV_DONTNEED);
		return true;
	}
	void *memory = mmap(pa_map_place(bytes), bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	state.slots = memory;
	return true;
}

int pa_tick_start(unsigned rate_hz)
{
	int error = -EBUSY;
	pa_lock(&state.lock);
	if (state.running)
		goto out;
	error = -EPERM;
	if (!pa_sandbox_may(&pa_thread_self, PA_CALLS_TIMER | PA_CALLS_RETURN))
		goto out;
	error = -ENOMEM;
	if (!have_slots())
		goto out;
	state.period_ns = PA_NS_PER_S / rate_hz;
	pa_store_relaxed(&state.room, pa_tasks_signal_room() / 2);
	error = pa_signal_take();
	if (error)
		goto out;
	state.running = true;
	state.filters = pa_tasks_filters(0);
	pa_store_release(&pa_on->cpu, 1);
	pa_tasks_each(arm_existing, NULL);
out:
	pa_unlock(&state.lock);
	return error;
}

void pa_tick_stop(void)
{
	pa_lock(&state.lock);
	if (state.running) {
		pa_store_release(&pa_on->cpu, 0);
		for (uint32_t i = 0; i < SLOTS; i++)
			delete_timer(&state.slots[i]);
		await_others();
		pa_signal_release(false); /* timers do not tell who has had their ticks */
		state.running = false;
	}
	pa_unlock(&state.lock);
}

static void begin(struct pa_thread *thread, struct slot *slot)
{
	thread->ticks_seen = 0;
	thread->tick_base_ns = pa_clock_thread_cpu_ns();
	thread->tick_first_ns = random_phase(thread);
	thread->tick_slot = (uint32_t)(slot - state.slots) + 1;
	if (!arm(slot, thread->tid, first_tick(thread->tick_first_ns))) {
		thread->tick_slot = 0;
		PA_COUNT_EVENT(timers_failed);
	}
}

void pa_tick_thread_begin(struct pa_thread *thread)
{
	/* It has the filters of its creator, which may not allow what follows. */
	if (pa_load_relaxed(&state.confined) || !pa_sandbox_begin(thread, PA_CALLS_TIMER)) {
		PA_COUNT_EVENT(timers_failed);
		return;
	}
	enter();
	struct slot *slot = pa_load_acquire(&pa_on->cpu) ? claim_slot(thread->tid) : NULL;
	if (slot)
		begin(thread, slot);
	leave();
	pa_sandbox_end();
}

/* Ticks due by the thread's CPU time that the timer did not deliver: the kernel looks at CPU timers
 * only at scheduler ticks, and a short thread may never meet one. */
static uint64_t residue(const struct pa_thread *thread)
{
	int64_t used_ns = pa_clock_thread_cpu_ns() - thread->tick_base_ns;
	if (used_ns < thread->tick_first_ns)
		return 0;
	int64_t due = 1 + (used_ns - thread->tick_first_ns) / state.period_ns;
	return due > (int64_t)thread->ticks_seen ? (uint64_t)due - thread->ticks_seen : 0;
}

static void charge_residue(struct pa_thread *thread)
{
	enter();
	delete_timer(&state.slots[thread->tick_slot - 1]);
	leave();
	thread->tick_slot = 0;
	if (!pa_load_relaxed(&pa_on->cpu))
		return;
	uint64_t ticks = residue(thread);
	if (ticks)
		record_tick(thread, ticks, NULL);
}

void pa_tick_thread_end(struct pa_thread *thread)
{
	if (thread->tick_slot && pa_sandbox_begin(thread, PA_CALLS_TIMER | PA_CALLS_WHO)) {
		charge_residue(thread);
		pa_sandbox_end();
	}
	thread->tick_slot = 0;
}

void pa_tick_thread_confined(struct pa_thread *thread)
{
	if (thread->tick_slot) {
		charge_residue(thread);
		PA_COUNT_EVENT(timers_failed);
	} else {
		drop_timer(pa_thread_tid(thread));
	}
}

void pa_tick_all_confined(void)
{
	if (!pa_lock_timed(&state.lock, CONFINE_PATIENCE_NS))
		return;
	if (state.running) {
		pa_store_release(&pa_on->cpu, 0);
		for (uint32_t i = 0; i < SLOTS; i++) {
			if (pa_load_relaxed(&state.slots[i].timer))
				PA_COUNT_EVENT(timers_failed);
			delete_timer(&state.slots[i]);
		}
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
	/* The slots name timers of the parent: ids that mean nothing here. */
	if (state.slots)
		madvise(state.slots, SLOTS * sizeof(struct slot), MADV_DONTNEED);
}

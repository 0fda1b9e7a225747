#include "tick.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "on.h"
#include "sample.h"

#include "../base/banned.h"

/*
 * Timers by thread: open addressing on the tid, so that the thread itself and the agent that lists
 * /proc/self/task agree on one place. Places are never reused within a profile.
 */
#define SLOTS 65536u
struct slot {
	PA_ATOMIC(int32_t) tid;   /* 0 free; claimed by CAS */
	PA_ATOMIC(int32_t) timer; /* kernel's timer id + 1; 0 none. Who swaps it out deletes it. */
};

static struct {
	struct pa_lock lock;         /* start, stop; PA_LOCK_CONFIG */
	pa_sigaction_fn *sigaction;
	struct slot *slots;
	int64_t period_ns;           /* constant while ticks are on; at most 1 s */
	bool fsgsbase;
	PA_ATOMIC(uint32_t) active;  /* our handler is installed; release / acquire */
	PA_ATOMIC(uint32_t) taken;   /* the program uses the signal itself; relaxed */
	struct sigaction program;    /* what the program has, or wants, for our signal */
} state = { .lock = PA_LOCK_INIT(PA_LOCK_CONFIG) };

void pa_tick_boot(pa_sigaction_fn *real_sigaction)
{
	state.sigaction = real_sigaction;
	state.fsgsbase = pa_regs_fsgsbase();
}

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
	if (timer)
		syscall(SYS_timer_delete, timer - 1);
}

/* A timer on tid's CPU clock whose first tick is after first_ns. False: the kernel refused. */
static bool arm(struct slot *slot, int32_t tid, int64_t first_ns)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID };
	event.sigev_signo = pa_record.signal;
	event.sigev_value.sival_int = tid;
	event._sigev_un._tid = tid;
	int timer;
	if (syscall(SYS_timer_create, cpu_clock_of(tid), &event, &timer) != 0)
		return false;
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

/* A signal of this number that is not a tick: somebody else's, for the program. */
static void forward(int signal, siginfo_t *info, void *context)
{
	const struct sigaction *action = &state.program;
	if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(signal, info, context);
	else if (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN)
		action->sa_handler(signal);
}

static void on_tick(int signal, siginfo_t *info, void *context)
{
	if (pa_unlikely(!pa_regs_has_tls(state.fsgsbase))) {
		PA_COUNT_EVENT(lost_cpu_thread);
		return;
	}
	int saved_errno = errno;
	struct pa_thread *thread = &pa_thread_self;
	if (pa_unlikely(info->si_code != SI_TIMER)) {
		forward(signal, info, context);
		goto out;
	}
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

void pa_tick_signal_is_taken(void)
{
	pa_store_relaxed(&state.taken, 1);
}

/* 0 or -errno. */
static int take_signal(void)
{
	if (pa_load_relaxed(&state.taken))
		return -EADDRINUSE;
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
	action.sa_sigaction = on_tick;
	sigfillset(&action.sa_mask);
	if (state.sigaction(pa_record.signal, NULL, &state.program) != 0)
		return -errno;
	if (state.program.sa_flags & SA_SIGINFO ||
	    (state.program.sa_handler != SIG_DFL && state.program.sa_handler != SIG_IGN))
		return -EADDRINUSE;
	if (state.sigaction(pa_record.signal, &action, NULL) != 0)
		return -errno;
	pa_store_release(&state.active, 1);
	return 0;
}

/* Back to the program's disposition. Through SIG_IGN, which drops what is still pending anywhere:
 * a tick that met the default action would end the program. */
static void give_signal_back(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	state.sigaction(pa_record.signal, &ignore, NULL);
	pa_store_release(&state.active, 0);
	if (state.program.sa_flags & SA_SIGINFO || state.program.sa_handler != SIG_IGN)
		state.sigaction(pa_record.signal, &state.program, NULL);
}

static void arm_existing(int32_t tid)
{
	if (pa_thread_is_agent(tid))
		return;
	struct slot *slot = claim_slot(tid);
	if (slot && !arm(slot, tid, first_tick(random_phase(&pa_thread_self))))
		PA_COUNT_EVENT(timers_failed);
}

struct directory_entry { /* the kernel's linux_dirent64 */
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

static void arm_all_threads(void)
{
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	char buffer[4096] __attribute__((aligned(8)));
	long got;
	while ((got = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0)
		for (long at = 0; at < got;) {
			struct directory_entry *entry = (void *)(buffer + at);
			if (entry->name[0] != '.')
				arm_existing(atoi(entry->name));
			at += entry->length;
		}
	close(fd);
}

static bool have_slots(void)
{
	size_t bytes = SLOTS * sizeof(struct slot);
	if (state.slots) {
		/* Zero again, and no memory held between profiles. */
		madvise(state.slots, bytes, MADV_DONTNEED);
		return true;
	}
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
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
	if (pa_load_relaxed(&state.active))
		goto out;
	error = -ENOMEM;
	if (!have_slots())
		goto out;
	state.period_ns = PA_NS_PER_S / rate_hz;
	error = take_signal();
	if (error)
		goto out;
	pa_store_release(&pa_on->cpu, 1);
	arm_all_threads();
out:
	pa_unlock(&state.lock);
	return error;
}

void pa_tick_stop(void)
{
	pa_lock(&state.lock);
	if (pa_load_relaxed(&state.active)) {
		pa_store_release(&pa_on->cpu, 0);
		for (uint32_t i = 0; i < SLOTS; i++)
			delete_timer(&state.slots[i]);
		give_signal_back();
	}
	pa_unlock(&state.lock);
}

void pa_tick_thread_begin(struct pa_thread *thread)
{
	struct slot *slot = claim_slot(thread->tid);
	if (!slot)
		return;
	thread->ticks_seen = 0;
	thread->tick_base_ns = pa_clock_thread_cpu_ns();
	thread->tick_first_ns = random_phase(thread);
	thread->tick_slot = (uint32_t)(slot - state.slots) + 1;
	if (!arm(slot, thread->tid, first_tick(thread->tick_first_ns))) {
		thread->tick_slot = 0;
		PA_COUNT_EVENT(timers_failed);
	}
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

void pa_tick_thread_end(struct pa_thread *thread)
{
	if (!thread->tick_slot)
		return;
	delete_timer(&state.slots[thread->tick_slot - 1]);
	thread->tick_slot = 0;
	if (!pa_load_relaxed(&pa_on->cpu))
		return;
	uint64_t ticks = residue(thread);
	if (ticks)
		record_tick(thread, ticks, NULL);
}

bool pa_tick_sigaction(const struct sigaction *action, struct sigaction *old)
{
	if (!pa_load_acquire(&state.active))
		return false;
	struct sigaction had = state.program;
	if (action)
		state.program = *action;
	if (old)
		*old = had;
	return true;
}

void pa_tick_atfork_child(void)
{
	pa_lock_reset(&state.lock);
	if (pa_load_relaxed(&state.active))
		give_signal_back();
	/* The slots name timers of the parent: ids that mean nothing here. */
	if (state.slots)
		madvise(state.slots, SLOTS * sizeof(struct slot), MADV_DONTNEED);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "thread_dump.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../arch/arch.h"
#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/thread_slot.h"
#include "blocked_threads.h"
#include "thread_ends.h"
#include "labels.h"
#include "switches.h"
#include "peek.h"
#include "registry.h"
#include "sample.h"
#include "sandbox.h"
#include "signal.h"
#include "tasks.h"
#include "tick_timers.h"

#include "../base/banned.h"

/* Threads signalled at once: all of them need a CPU, and room in the ring for a copy of their stack
 * while the collector does not have their rules yet. */
#define WINDOW 64

/* More than an answer takes. */
#define STARVED_CPU_NS (10 * PA_NS_PER_MS)

/* Rounds in which threads are signalled again that found no room in the ring. */
#define ROUNDS_MAX 50

static struct {
	struct pa_thread_dump_entry *entries; /* PA_THREAD_DUMP_MAX of them, mapped once */
	uint32_t count;
	PA_ATOMIC(uint32_t) generation; /* of the current dump, 0 = none; release in call */
	uint32_t last_generation;
	int32_t filters;     /* number of seccomp filters of the calling thread */
	bool may_ask_clocks; /* of other threads: no sandbox denies that */
	/* futex: number of answers, those without room included; release by the answering thread */
	PA_ATOMIC(uint32_t) answers;
} state;

/* ---- the threads' side ---- */

/*
 * The thread's own state, or a temporary one: a thread of a raw clone(2) may share its creator's
 * TLS, which it must not write, and an unregistered thread is not registered here.
 */
static const struct pa_thread *find_self(struct pa_thread *stand_in, int32_t tid)
{
	const struct pa_thread *self = &pa_thread_self;
	if (self->registered && self->tid == tid)
		return self;
	*stand_in = (struct pa_thread){ 0 };
	pa_registry_add(stand_in);
	return stand_in;
}

/* True when the stack is in the ring. */
static bool write_own_stack(const struct pa_thread *thread, uint64_t word,
	const struct pa_regs *regs)
{
	struct pa_event event = {
		.kind = PA_EVENT_DUMP,
		.flags = PA_EVENT_LEAF,
		.tid = thread->tid,
		.time_ns = pa_clock_mono_ns(),
		.value = { word },
		.labels = pa_labels_id(thread->labels),
	};
	return pa_sample_stack(&event, thread, pa_arch_cursor(regs), regs, true);
}

static void answer_dump(struct pa_thread_dump_entry *entry, uint64_t word,
	const ucontext_t *context)
{
	PA_ASSERT(pa_load_relaxed(&entry->state) == PA_THREAD_DUMP_WRITING);
	struct pa_thread stand_in;
	const struct pa_thread *thread = find_self(&stand_in, entry->tid);
	struct pa_regs regs;
	uint8_t code[PA_SYSCALL_BYTES];
	pa_arch_from_context(&regs, context);
	if (pa_peek(code, regs.gpr[PA_REG_PC], sizeof(code)) == sizeof(code))
		pa_arch_pass_syscall(&regs, code);
	entry->thread = pa_thread_state_of(thread, regs.gpr[PA_REG_SP]);
	pa_arch_syscall(SYS_prctl, PR_GET_NAME, (long)entry->name, 0, 0);
	bool written = write_own_stack(thread, word, &regs);
	if (written)
		PA_COUNT_EVENT(dump_answers);
	pa_store_release(&entry->state, written ? PA_THREAD_DUMP_ANSWERED : PA_THREAD_DUMP_FULL);
	pa_add_acq_rel(&state.answers, 1);
	pa_arch_syscall(SYS_futex, (long)&state.answers, FUTEX_WAKE_PRIVATE, 1, 0);
}

/* Does not touch errno: the TLS may be another thread's. */
bool pa_thread_dump_answer(const siginfo_t *info, const ucontext_t *context)
{
	if (info->si_code != SI_TIMER || info->si_uid != PA_SIGNAL_QUEUED_UID ||
		info->si_pid != pa_record.pid)
		return false;
	uint64_t word = (uint64_t)(uintptr_t)info->si_value.sival_ptr;
	uint32_t index = (uint32_t)word;
	if (!(word >> 32) || index >= PA_THREAD_DUMP_MAX)
		return false;
	/* Of an earlier dump: a signal mask delayed it. */
	if (word >> 32 != pa_load_acquire(&state.generation))
		return true;
	struct pa_thread_dump_entry *entry = &state.entries[index];
	uint32_t asked = PA_THREAD_DUMP_SIGNALLED;
	if (entry->tid == (int32_t)pa_arch_syscall(SYS_gettid, 0, 0, 0, 0) &&
		pa_cas_acq_rel(&entry->state, &asked, PA_THREAD_DUMP_WRITING))
		answer_dump(entry, word, context);
	return true;
}

/* ---- the caller's side ---- */

static bool have_entries(void)
{
	if (state.entries)
		return true;
	state.entries = pa_map_table(PA_THREAD_DUMP_MAX * sizeof(struct pa_thread_dump_entry));
	return state.entries != NULL;
}

/* A thread that was stopped in the middle of its answer continues later: it keeps its entries, and
 * the next dump gets new ones. */
static void abandon_stuck(void)
{
	for (uint32_t i = 0; i < state.count; i++) {
		if (pa_load_acquire(&state.entries[i].state) == PA_THREAD_DUMP_WRITING) {
			state.entries = NULL;
			return;
		}
	}
}

static PA_AGENT void list_thread(void *unused, int32_t tid)
{
	PA_ASSERT(state.entries && state.count <= PA_THREAD_DUMP_MAX);
	(void)unused;
	if (state.count == PA_THREAD_DUMP_MAX || pa_registry_is_agent(tid))
		return;
	struct pa_thread_dump_entry *entry = &state.entries[state.count++];
	memset(entry, 0, sizeof(*entry));
	entry->tid = tid;
	pa_store_relaxed(&entry->state, PA_THREAD_DUMP_LISTED);
}

int pa_thread_dump_begin(struct pa_thread_dump *dump)
{
	PA_ASSERT_AGENT();
	PA_ASSERT(!pa_load_relaxed(&state.generation));
	if (state.entries)
		abandon_stuck();
	state.count = 0;
	if (!have_entries())
		return -ENOMEM;
	pa_thread_ends_await_agents(PA_THREAD_DUMP_TIMEOUT_NS);
	int error = pa_tasks_each(list_thread, NULL);
	if (++state.last_generation == 0)
		state.last_generation = 1;
	*dump = (struct pa_thread_dump){ state.last_generation, state.count, state.entries, 0 };
	return error;
}

/* False: the state tells the reason. word: index of the entry and generation of the dump. */
static bool send_dump_signal(struct pa_thread_dump_entry *entry, uint64_t word)
{
	siginfo_t info = { .si_signo = pa_record.signal, .si_code = SI_TIMER };
	info.si_pid = pa_record.pid;
	info.si_uid = PA_SIGNAL_QUEUED_UID;
	info.si_value.sival_ptr = (void *)(uintptr_t)word;
	if (syscall(SYS_rt_tgsigqueueinfo, pa_record.pid, entry->tid, pa_record.signal, &info) == 0)
		return true;
	/* EAGAIN: RLIMIT_SIGPENDING of this user is reached (sigqueue(3)); there may be room
	 * later. */
	pa_store_release(&entry->state, errno == ESRCH ? PA_THREAD_DUMP_GONE : PA_THREAD_DUMP_FULL);
	return false;
}

static bool is_of_kernel(int32_t tid)
{
	return !pa_registry_look(tid).is_known && pa_tasks_is_of_kernel(tid);
}

/* True when an answer will arrive. */
static bool signal_one(const struct pa_thread_dump *dump, uint32_t index)
{
	PA_ASSERT(index < dump->count && dump->generation);
	struct pa_thread_dump_entry *entry = &dump->entries[index];
	uint64_t word = (uint64_t)dump->generation << 32 | index;
	if (is_of_kernel(entry->tid)) {
		pa_store_release(&entry->state, PA_THREAD_DUMP_SILENT);
		return false;
	}
	switch (pa_blocked_threads_answer(entry, word)) {
	case PA_BLOCKED_THREADS_WRITTEN:
		pa_store_release(&entry->state, PA_THREAD_DUMP_ANSWERED);
		return false;
	case PA_BLOCKED_THREADS_FULL:
		pa_store_release(&entry->state, PA_THREAD_DUMP_FULL);
		return false;
	case PA_BLOCKED_THREADS_UNKNOWN:
		pa_store_release(&entry->state, PA_THREAD_DUMP_SILENT);
		return false;
	case PA_BLOCKED_THREADS_NOT: break;
	}
	if (state.may_ask_clocks)
		entry->cpu_ns = pa_clock_ns(pa_tick_timers_clock(entry->tid));
	/* Before the check: see pa_thread_dump_settle. */
	pa_store_release(&entry->state, PA_THREAD_DUMP_SIGNALLED);
	pa_fence_full();
	/* In a sandbox of its own, rt_sigreturn may be what kills the thread. */
	if (pa_tasks_filters(entry->tid) > state.filters ||
		pa_registry_look(entry->tid).refuses_signal) {
		pa_store_release(&entry->state, PA_THREAD_DUMP_SILENT);
		return false;
	}
	return send_dump_signal(entry, word);
}

/*
 * True for a thread that is still in the queue of its processor, as on a busy machine for longer
 * than a thread that cannot answer is waited for. One that blocks the signal uses its processor.
 */
static bool is_starved(const struct pa_thread_dump_entry *entry)
{
	uint32_t now = pa_load_acquire(&entry->state);
	if ((now != PA_THREAD_DUMP_SIGNALLED && now != PA_THREAD_DUMP_WRITING) ||
		!state.may_ask_clocks)
		return false;
	int64_t used_ns = pa_clock_ns(pa_tick_timers_clock(entry->tid)) - entry->cpu_ns;
	return used_ns < STARVED_CPU_NS && pa_tasks_is_runnable(entry->tid);
}

static bool one_is_starved(const struct pa_thread_dump *dump)
{
	for (uint32_t i = 0; i < dump->count; i++)
		if (is_starved(&dump->entries[i]))
			return true;
	return false;
}

/* Waits until at most window of the signalled threads are outstanding. False: no more progress. */
static bool wait_answers(struct pa_thread_dump *dump, uint32_t asked, int32_t window)
{
	PA_ASSERT(window >= 0);
	PA_ASSERT(dump->generation == pa_load_relaxed(&state.generation));
	int64_t last_ns = pa_clock_mono_ns(), end_ns = last_ns + PA_THREAD_DUMP_TIMEOUT_NS;
	uint32_t before = pa_load_acquire(&state.answers);
	/* Ends: PA_THREAD_DUMP_STARVED_NS after last_ns, which is when a thread has answered. */
	for (uint32_t seen = before; (int32_t)(asked - seen) > window;) {
		int64_t now_ns = pa_clock_mono_ns();
		if (pa_thread_slot_must_end())
			return false;
		if (seen != before) {
			last_ns = now_ns;
			end_ns = now_ns + PA_THREAD_DUMP_TIMEOUT_NS;
		} else if (now_ns >= end_ns) {
			dump->waited_ns += now_ns - end_ns + PA_THREAD_DUMP_TIMEOUT_NS;
			if (now_ns - last_ns >= PA_THREAD_DUMP_STARVED_NS || !one_is_starved(dump))
				return false;
			end_ns = now_ns + PA_THREAD_DUMP_TIMEOUT_NS;
		}
		before = seen;
		pa_futex_wait(&state.answers, seen, end_ns - now_ns);
		seen = pa_load_acquire(&state.answers);
	}
	return true;
}

/* Signals the threads of all entries in that state, and waits for them. */
static void signal_threads(struct pa_thread_dump *dump, enum pa_thread_dump_state which)
{
	/* Silent threads of an earlier round do not count in this one. */
	uint32_t asked = pa_load_acquire(&state.answers);
	int32_t window = WINDOW;
	for (uint32_t i = 0; i < dump->count; i++) {
		if (pa_load_relaxed(&dump->entries[i].state) != which)
			continue;
		/* A thread that does not answer in time must not delay the others. */
		if (signal_one(dump, i) && !wait_answers(dump, ++asked, window))
			window = INT32_MAX;
	}
	wait_answers(dump, asked, 0);
}

static uint32_t count_full(const struct pa_thread_dump *dump)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < dump->count; i++)
		count += pa_load_acquire(&dump->entries[i].state) == PA_THREAD_DUMP_FULL;
	return count;
}

/* True when no signal is pending any more. */
static bool close_dump(const struct pa_thread_dump *dump)
{
	bool all_answered = true;
	pa_store_release(&state.generation, 0);
	for (uint32_t i = 0; i < dump->count; i++) {
		uint32_t now = pa_load_acquire(&dump->entries[i].state);
		all_answered &= now != PA_THREAD_DUMP_SIGNALLED;
		if (now == PA_THREAD_DUMP_SIGNALLED || now == PA_THREAD_DUMP_LISTED ||
			now == PA_THREAD_DUMP_FULL)
			pa_cas_acq_rel(&dump->entries[i].state, &now, PA_THREAD_DUMP_SILENT);
	}
	return all_answered;
}

int pa_thread_dump_call(struct pa_thread_dump *dump)
{
	PA_ASSERT_AGENT();
	PA_ASSERT(dump->generation && dump->count <= PA_THREAD_DUMP_MAX);
	bool may = pa_sandbox_may(&pa_thread_self, PA_CALLS_DUMP | PA_CALLS_RETURN);
	int error = may ? pa_signal_take() : -EPERM;
	if (!error) {
		state.filters = pa_tasks_own().filters;
		state.may_ask_clocks = pa_sandbox_may(&pa_thread_self, PA_CALLS_TIMER);
		pa_store_release(&state.generation, dump->generation);
		signal_threads(dump, PA_THREAD_DUMP_LISTED);
		for (int turn = 0; turn < ROUNDS_MAX && count_full(dump); turn++) {
			pa_ring_wait_done(pa_record.ring, pa_ring_tail(pa_record.ring),
				PA_THREAD_DUMP_TIMEOUT_NS);
			signal_threads(dump, PA_THREAD_DUMP_FULL);
		}
	}
	bool all_answered = close_dump(dump);
	if (!error)
		pa_signal_release(all_answered);
	return error;
}

static bool is_asked(int32_t tid)
{
	if (!pa_load_acquire(&state.generation))
		return false;
	for (uint32_t i = 0; i < state.count; i++) {
		const struct pa_thread_dump_entry *entry = &state.entries[i];
		if ((!tid || entry->tid == tid) &&
			pa_load_acquire(&entry->state) == PA_THREAD_DUMP_SIGNALLED)
			return true;
	}
	return false;
}

void pa_thread_dump_settle(int32_t tid)
{
	int64_t end_ns = pa_clock_mono_ns() + PA_THREAD_DUMP_TIMEOUT_NS;
	/* Ends: at end_ns. */
	while (is_asked(tid) && pa_clock_mono_ns() < end_ns)
		pa_futex_sleep(PA_NS_PER_MS);
}

void pa_thread_dump_atfork_child(void)
{
	pa_reset(&state.generation, 0);
	if (state.count)
		state.count = 0;
}

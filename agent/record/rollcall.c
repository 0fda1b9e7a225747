#include "rollcall.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/seat.h"
#include "asleep.h"
#include "ends.h"
#include "labels.h"
#include "on.h"
#include "peek.h"
#include "sample.h"
#include "sandbox.h"
#include "signal.h"
#include "tasks.h"

#include "../base/banned.h"

/* So many are asked at once: they all want a processor, and room in the ring for a copy of their
 * stack while the collector has not met their code yet. */
#define WINDOW 64

/* Times that those are asked again for whom the ring had no room. */
#define TURNS_MAX 50

static struct {
	struct pa_roll_entry *entries; /* PA_ROLL_MAX of them, mapped once */
	uint32_t count;
	PA_ATOMIC(uint32_t) generation; /* that may answer, 0 = none; release in call */
	uint32_t last_generation;
	int32_t filters; /* seccomp filters of who calls the roll */
	/* futex: answers so far, those without room too; release by who answered */
	PA_ATOMIC(uint32_t) answers;
} state;

void pa_rollcall_describe(struct pa_roll_entry *entry, const struct pa_thread *thread, uintptr_t sp)
{
	const struct pa_wait *wait = &thread->wait;
	bool waits = wait->kind && sp < wait->frame;
	entry->wait = waits ? wait->kind : 0;
	entry->object = waits ? wait->object : 0;
	entry->since_ns = waits ? wait->start_ns : 0;
	entry->creator_pc = thread->creator_pc;
	entry->creator_tid = thread->creator_tid;
}

/* ---- the threads' side ---- */

/*
 * The thread itself, or a stand-in: a thread of a raw clone may share its creator's TLS, which it
 * must not touch, and one that we never met does not get to know us here.
 */
static const struct pa_thread *who_am_i(struct pa_thread *stand_in, int32_t tid)
{
	const struct pa_thread *self = &pa_thread_self;
	if (self->met && self->tid == tid)
		return self;
	*stand_in = (struct pa_thread){ 0 };
	pa_thread_meet(stand_in);
	return stand_in;
}

/* True when the stack is in the ring. */
static bool write_stack(const struct pa_thread *thread, uint64_t word, const struct pa_regs *regs)
{
	struct pa_event event = {
		.kind = PA_EVENT_ROLL,
		.flags = PA_EVENT_LEAF,
		.tid = thread->tid,
		.time_ns = pa_clock_mono_ns(),
		.value = { word },
		.labels = pa_labels_id(thread->labels),
	};
	return pa_sample_stack(&event, thread, pa_regs_cursor(regs), regs, true);
}

static void answer(struct pa_roll_entry *entry, uint64_t word, const ucontext_t *context)
{
	struct pa_thread stand_in;
	const struct pa_thread *thread = who_am_i(&stand_in, entry->tid);
	struct pa_regs regs;
	uint8_t code[PA_SYSCALL_BYTES];
	pa_regs_from_context(&regs, context);
	if (pa_peek(code, regs.gpr[PA_REG_PC], sizeof(code)) == sizeof(code))
		pa_regs_pass_syscall(&regs, code);
	pa_rollcall_describe(entry, thread, regs.gpr[PA_REG_SP]);
	pa_regs_syscall(SYS_prctl, PR_GET_NAME, (long)entry->name, 0, 0);
	bool written = write_stack(thread, word, &regs);
	if (written)
		PA_COUNT_EVENT(roll_answers);
	pa_store_release(&entry->state, written ? PA_ROLL_ANSWERED : PA_ROLL_FULL);
	pa_add_acq_rel(&state.answers, 1);
	pa_regs_syscall(SYS_futex, (long)&state.answers, FUTEX_WAKE_PRIVATE, 1, 0);
}

/* Touches no errno: it may be another thread's. */
bool pa_rollcall_answer(const siginfo_t *info, const ucontext_t *context)
{
	if (info->si_code != SI_QUEUE || info->si_pid != pa_record.pid)
		return false;
	uint64_t word = (uint64_t)(uintptr_t)info->si_value.sival_ptr;
	uint32_t index = (uint32_t)word;
	if (!(word >> 32) || index >= PA_ROLL_MAX)
		return false;
	/* Of an earlier roll: it was held up by a mask. */
	if (word >> 32 != pa_load_acquire(&state.generation))
		return true;
	struct pa_roll_entry *entry = &state.entries[index];
	uint32_t asked = PA_ROLL_ASKED;
	if (entry->tid == (int32_t)pa_regs_syscall(SYS_gettid, 0, 0, 0, 0) &&
	    pa_cas_acq_rel(&entry->state, &asked, PA_ROLL_WRITING))
		answer(entry, word, context);
	return true;
}

/* ---- the caller's side ---- */

static bool have_entries(void)
{
	if (state.entries)
		return true;
	const size_t bytes = PA_ROLL_MAX * sizeof(struct pa_roll_entry);
	void *memory = mmap(pa_map_place(bytes), bytes,
		PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	state.entries = memory;
	return true;
}

/* Somebody who was stopped in the middle of an answer goes on some day: the entries stay its own,
 * the next roll has others. */
static void leave_stuck(void)
{
	for (uint32_t i = 0; i < state.count; i++) {
		if (pa_load_acquire(&state.entries[i].state) == PA_ROLL_WRITING) {
			state.entries = NULL;
			return;
		}
	}
}

static void list(void *unused, int32_t tid)
{
	(void)unused;
	if (state.count == PA_ROLL_MAX || pa_thread_is_agent(tid))
		return;
	struct pa_roll_entry *entry = &state.entries[state.count++];
	memset(entry, 0, sizeof(*entry));
	entry->tid = tid;
	pa_store_relaxed(&entry->state, PA_ROLL_LISTED);
}

int pa_rollcall_begin(struct pa_roll *roll)
{
	if (state.entries)
		leave_stuck();
	state.count = 0;
	if (!have_entries())
		return -ENOMEM;
	pa_ends_await_agents(PA_ROLL_PATIENCE_NS);
	int error = pa_tasks_each(list, NULL);
	if (++state.last_generation == 0)
		state.last_generation = 1;
	*roll = (struct pa_roll){ state.last_generation, state.count, state.entries };
	return error;
}

/* False: the state says why. word: where the entry is to be found, and of which roll it is. */
static bool send(struct pa_roll_entry *entry, uint64_t word)
{
	siginfo_t info = { .si_signo = pa_record.signal, .si_code = SI_QUEUE };
	info.si_pid = pa_record.pid;
	info.si_value.sival_ptr = (void *)(uintptr_t)word;
	if (syscall(SYS_rt_tgsigqueueinfo, pa_record.pid, entry->tid, pa_record.signal, &info) == 0)
		return true;
	/* EAGAIN: too many signals are queued for this user; there may be room later. */
	pa_store_release(&entry->state, errno == ESRCH ? PA_ROLL_GONE : PA_ROLL_FULL);
	return false;
}

/* Those that we met run the program's code. */
static bool is_of_kernel(int32_t tid)
{
	struct pa_thread copy;
	return !pa_thread_copy(tid, &copy) && pa_tasks_is_of_kernel(tid);
}

/* True when an answer will come. */
static bool ask_one(const struct pa_roll *roll, uint32_t index)
{
	struct pa_roll_entry *entry = &roll->entries[index];
	uint64_t word = (uint64_t)roll->generation << 32 | index;
	if (is_of_kernel(entry->tid)) {
		pa_store_release(&entry->state, PA_ROLL_SILENT);
		return false;
	}
	switch (pa_asleep_answer(entry, word)) {
	case PA_ASLEEP_WRITTEN:
		pa_store_release(&entry->state, PA_ROLL_ANSWERED);
		return false;
	case PA_ASLEEP_FULL:
		pa_store_release(&entry->state, PA_ROLL_FULL);
		return false;
	case PA_ASLEEP_UNKNOWN:
		pa_store_release(&entry->state, PA_ROLL_SILENT);
		return false;
	case PA_ASLEEP_NOT:
		break;
	}
	/* Before the look: see pa_rollcall_settle. */
	pa_store_release(&entry->state, PA_ROLL_ASKED);
	pa_fence_full();
	/* In a sandbox of its own the return from the handler may be what ends it. */
	if (pa_tasks_filters(entry->tid) > state.filters || pa_thread_is_deaf(entry->tid)) {
		pa_store_release(&entry->state, PA_ROLL_SILENT);
		return false;
	}
	return send(entry, word);
}

/* Waits until no more than window of the asked ones are outstanding. False: there is no progress
 * any more. */
static bool wait_answers(uint32_t asked, int32_t window)
{
	int64_t end_ns = pa_clock_mono_ns() + PA_ROLL_PATIENCE_NS;
	uint32_t before = pa_load_acquire(&state.answers);
	/* Ends: at end_ns, which moves only when one more has answered. */
	for (uint32_t seen = before; (int32_t)(asked - seen) > window;) {
		int64_t now_ns = pa_clock_mono_ns();
		if (seen != before)
			end_ns = now_ns + PA_ROLL_PATIENCE_NS;
		if (now_ns >= end_ns || pa_seat_must_go())
			return false;
		before = seen;
		pa_futex_wait(&state.answers, seen, end_ns - now_ns);
		seen = pa_load_acquire(&state.answers);
	}
	return true;
}

/* Asks all entries in that state, and waits for them. */
static void ask(const struct pa_roll *roll, enum pa_roll_state which)
{
	/* Those of an earlier turn who are silent do not count against this one. */
	uint32_t asked = pa_load_acquire(&state.answers);
	int32_t window = WINDOW;
	for (uint32_t i = 0; i < roll->count; i++) {
		if (pa_load_relaxed(&roll->entries[i].state) != which)
			continue;
		/* Who does not answer in time must not make the others late as well. */
		if (ask_one(roll, i) && !wait_answers(++asked, window))
			window = INT32_MAX;
	}
	wait_answers(asked, 0);
}

static uint32_t count_full(const struct pa_roll *roll)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < roll->count; i++)
		count += pa_load_acquire(&roll->entries[i].state) == PA_ROLL_FULL;
	return count;
}

/* True when no signal is on its way still. */
static bool close_roll(const struct pa_roll *roll)
{
	bool all_answered = true;
	pa_store_release(&state.generation, 0);
	for (uint32_t i = 0; i < roll->count; i++) {
		uint32_t now = pa_load_acquire(&roll->entries[i].state);
		all_answered &= now != PA_ROLL_ASKED;
		if (now == PA_ROLL_ASKED || now == PA_ROLL_LISTED || now == PA_ROLL_FULL)
			pa_cas_acq_rel(&roll->entries[i].state, &now, PA_ROLL_SILENT);
	}
	return all_answered;
}

int pa_rollcall_call(struct pa_roll *roll)
{
	bool may = pa_sandbox_may(&pa_thread_self, PA_CALLS_ROLL | PA_CALLS_RETURN);
	int error = may ? pa_signal_take() : -EPERM;
	if (!error) {
		state.filters = pa_tasks_filters(0);
		pa_store_release(&state.generation, roll->generation);
		ask(roll, PA_ROLL_LISTED);
		for (int turn = 0; turn < TURNS_MAX && count_full(roll); turn++) {
			pa_ring_wait_done(pa_record.ring, PA_ROLL_PATIENCE_NS);
			ask(roll, PA_ROLL_FULL);
		}
	}
	bool all_answered = close_roll(roll);
	if (!error)
		pa_signal_release(all_answered);
	return error;
}

static bool is_asked(int32_t tid)
{
	if (!pa_load_acquire(&state.generation))
		return false;
	for (uint32_t i = 0; i < state.count; i++) {
		const struct pa_roll_entry *entry = &state.entries[i];
		if ((!tid || entry->tid == tid) &&
		    pa_load_acquire(&entry->state) == PA_ROLL_ASKED)
			return true;
	}
	return false;
}

void pa_rollcall_settle(int32_t tid)
{
	int64_t end_ns = pa_clock_mono_ns() + PA_ROLL_PATIENCE_NS;
	/* Ends: at end_ns. */
	while (is_asked(tid) && pa_clock_mono_ns() < end_ns)
		pa_futex_rest(PA_NS_PER_MS);
}

void pa_rollcall_atfork_child(void)
{
	pa_reset(&state.generation, 0);
	if (state.count)
		state.count = 0;
}

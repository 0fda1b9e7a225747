/* SPDX-License-Identifier: Apache-2.0 */
#include "goroutine.h"

#include <errno.h>

#include "../arch/arch.h"
#include "../base/kept_pages.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "../record/tasks.h"
#include "../core/core.h"
#include "mailbox.h"
#include "tables_lock.h"
#include "thread_info.h"
#include "thread_names.h"

_Static_assert(PA_THREAD_DUMP_NAME_BYTES == PA_EVENT_NAME_BYTES, "one way to clean them");

/* Each time a stack comes at least one frame further, see is_short(). */
#define DUMPS_MAX 4

struct answer {
	const struct pa_stack *stack; /* NULL: no answer */
	const struct pa_labels *labels;
};

/* A thread dump, from its begin until the collector has finished with it. */
struct call {
	struct pa_goroutine_dump told;
	size_t bytes;
	struct pa_thread_info details[]; /* by index of the entry */
};

static struct {
	/* The thread dump in progress; generation 0: none. */
	struct pa_thread_dump dump;
	const struct pa_thread_info *details;
	struct answer *answers;    /* by index of the entry */
	PA_ATOMIC(bool) has_short; /* of the last dump; relaxed: asked for behind the collector's
				    * answer */

	/* Of the thread that takes the dump. */
	struct pa_lock lock;
	/*
	 * The dump in progress; or one whose end the collector did not confirm, so that its memory
	 * may still be read. Guard: the lock; a forked child reads it without, because fork() may
	 * happen at any point: release in new_call.
	 */
	PA_ATOMIC(struct call *) call;
} state = { .lock = PA_LOCK_INIT(PA_LOCK_DUMP) };

/* ---- what the collector knows of a thread dump ---- */

static size_t answers_bytes(void)
{
	return state.dump.count * sizeof(*state.answers);
}

int pa_goroutine_begin_locked(const struct pa_thread_dump *dump,
	const struct pa_thread_info *details)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	pa_goroutine_end_locked();
	PA_ASSERT(!state.answers);
	if (dump->count) {
		state.answers = pa_kept_pages_map(dump->count * sizeof(*state.answers));
		if (!state.answers)
			return -ENOMEM;
	}
	state.dump = *dump;
	state.details = details;
	pa_store_relaxed(&state.has_short, false);
	return 0;
}

/*
 * The stack ended where its copied part ended. The collector has learnt the rule of that frame and
 * the size of its stack by now, so that the thread itself comes further the next time.
 */
static bool is_short(const struct pa_stack *stack)
{
	return stack->depth &&
		pa_stack_table_loc(stack->locs[stack->depth - 1])->pc == PA_PSEUDO_SHORT;
}

void pa_goroutine_answer_locked(uint32_t generation, uint32_t index, const struct pa_stack *stack,
	uint32_t labels)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	if (!generation || generation != state.dump.generation || index >= state.dump.count)
		return;
	state.answers[index] = (struct answer){
		.stack = stack,
		.labels = labels ? pa_core_bridge->labels(labels) : NULL,
	};
	if (is_short(stack))
		pa_store_relaxed(&state.has_short, true);
}

static bool is_shown(const struct pa_thread_dump_entry *entry)
{
	return pa_load_acquire(&entry->state) != PA_THREAD_DUMP_GONE;
}

size_t pa_goroutine_count(void)
{
	size_t count = 0;
	for (uint32_t i = 0; i < state.dump.count; i++)
		count += is_shown(&state.dump.entries[i]);
	return count;
}

/* NULL: the stack table is full. */
static const struct pa_stack *creator_of(const struct pa_thread_dump_entry *entry)
{
	if (entry->thread.creator_pc < PA_PAGE_BYTES)
		return NULL;
	const struct pa_stack *stack =
		pa_stack_table_intern_locked(&entry->thread.creator_pc, 1, false, PA_PSEUDO_NONE);
	return stack == pa_stack_table_overflow() ? NULL : stack;
}

static int64_t waited_ns(const struct pa_thread_dump_entry *entry, int64_t now_ns)
{
	if (!entry->thread.since_ns)
		return 0;
	return entry->thread.since_ns < now_ns ? now_ns - entry->thread.since_ns : 1;
}

/* Adds the data written by the thread itself. */
static void add_own_words(struct pa_thread_info *info, const struct pa_thread_dump_entry *entry,
	int64_t now_ns)
{
	uint32_t wait = entry->thread.wait;
	info->wait = wait < PA_WAIT_KINDS ? (enum pa_wait_kind)wait : PA_WAIT_NONE;
	info->object = entry->thread.object;
	info->waited_ns = waited_ns(entry, now_ns);
	info->creator_tid = entry->thread.creator_tid;
	info->creator = creator_of(entry);
	pa_thread_names_clean(info->name, sizeof(info->name), entry->name);
}

static struct pa_thread_info thread_info_of(uint32_t i, int64_t now_ns)
{
	PA_ASSERT(i < state.dump.count && state.answers);
	const struct pa_thread_dump_entry *entry = &state.dump.entries[i];
	struct pa_thread_info info = { .syscall = -1 };
	if (state.details)
		info = state.details[i];
	info.answered = false;
	if (pa_load_acquire(&entry->state) == PA_THREAD_DUMP_ANSWERED) {
		info.answered = state.answers[i].stack != NULL;
		add_own_words(&info, entry, now_ns);
	}
	return info;
}

void pa_goroutine_samples_locked(struct pa_sample *out, struct pa_thread_info *info)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	int64_t now_ns = pa_clock_mono_ns();
	const struct pa_stack *silent =
		pa_stack_table_intern_locked(NULL, 0, false, PA_PSEUDO_NO_ANSWER);
	for (uint32_t i = 0; i < state.dump.count; i++) {
		if (!is_shown(&state.dump.entries[i]))
			continue;
		*info = thread_info_of(i, now_ns);
		*out++ = (struct pa_sample){
			.stack = info->answered ? state.answers[i].stack : silent,
			.values = { 1 },
			.bytes_label = -1,
			.tid = state.dump.entries[i].tid,
			.thread = info->name,
			.labels = info->answered ? state.answers[i].labels : NULL,
			.info = info,
		};
		info++;
	}
}

static void free_answers(void)
{
	pa_kept_pages_unmap(state.answers, answers_bytes());
	state.answers = NULL;
	state.dump = (struct pa_thread_dump){ 0 };
	state.details = NULL;
}

void pa_goroutine_end_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	free_answers();
}

size_t pa_goroutine_bytes(void)
{
	return answers_bytes();
}

static void count_task(void *count, int32_t tid)
{
	*(size_t *)count += !pa_core_bridge->is_agent_thread(tid);
}

size_t pa_goroutine_now(void)
{
	size_t count = 0;
	pa_core_bridge->await_agent_threads(PA_THREAD_DUMP_TIMEOUT_NS);
	return pa_tasks_each(count_task, &count) == 0 ? count : 0;
}

/* ---- the thread dump ---- */

static void free_call(void)
{
	struct call *call = pa_load_acquire(&state.call);
	pa_store_release(&state.call, NULL);
	if (call)
		pa_kept_pages_unmap(call, call->bytes);
}

static int ask_collector(enum pa_mailbox_op op, const struct pa_goroutine_dump *told)
{
	const struct pa_mailbox_request request = { op, &pa_goroutine_profile, { .dump = told } };
	return pa_mailbox_ask(&request, NULL);
}

/* After 0 the collector has finished with the dump. */
static int copy_and_end(struct pa_snapshot **snapshot)
{
	const struct pa_mailbox_request request = { PA_MAILBOX_COPY_AND_END, &pa_goroutine_profile,
		{ .end_ns = pa_clock_mono_ns() } };
	return pa_mailbox_ask(&request, snapshot);
}

/* False: the collector does not answer. */
static bool end_call(void)
{
	PA_ASSERT_HELD(PA_LOCK_DUMP);
	if (pa_load_relaxed(&state.call) && ask_collector(PA_MAILBOX_END, NULL) != 0)
		return false;
	free_call();
	return true;
}

static struct call *new_call(void)
{
	PA_ASSERT_HELD(PA_LOCK_DUMP);
	PA_ASSERT(!pa_load_relaxed(&state.call));
	struct pa_thread_dump dump;
	if (pa_core_bridge->dump_begin(&dump) != 0)
		return NULL;
	size_t bytes = sizeof(struct call) + dump.count * sizeof(struct pa_thread_info);
	struct call *call = pa_kept_pages_map(bytes);
	if (!call)
		return NULL;
	call->bytes = bytes;
	call->told = (struct pa_goroutine_dump){ .dump = dump, .details = call->details };
	for (uint32_t i = 0; i < dump.count; i++)
		call->details[i].syscall = -1;
	pa_store_release(&state.call, call);
	return call;
}

static void read_all_threads(struct call *call)
{
	PA_ASSERT_AGENT();
	const struct pa_thread_dump *dump = &call->told.dump;
	for (uint32_t i = 0; i < dump->count; i++)
		pa_thread_info_read(dump->entries[i].tid, &call->details[i]);
}

/* detail: data of the other threads was read before the signal, and is kept. */
static void read_silent(struct call *call, bool detail)
{
	PA_ASSERT_AGENT();
	const struct pa_thread_dump *dump = &call->told.dump;
	for (uint32_t i = 0; i < dump->count; i++) {
		struct pa_thread_dump_entry *entry = &dump->entries[i];
		uint32_t now = pa_load_acquire(&entry->state);
		struct pa_thread_info info;
		if (now == PA_THREAD_DUMP_ANSWERED || now == PA_THREAD_DUMP_GONE)
			continue;
		if (!pa_thread_info_read(entry->tid, &info))
			pa_store_release(&entry->state, PA_THREAD_DUMP_GONE);
		else if (!detail)
			call->details[i] = info;
	}
}

static struct pa_snapshot *take_call(struct call *call, bool detail)
{
	PA_ASSERT_HELD(PA_LOCK_DUMP);
	PA_ASSERT(call == pa_load_relaxed(&state.call));
	struct pa_snapshot *snapshot = NULL;
	/* Before the signal: afterwards the threads are in our handler. */
	if (detail)
		read_all_threads(call);
	if (ask_collector(PA_MAILBOX_BEGIN, &call->told) != 0)
		return NULL;
	/* On an error, for example when the program uses our signal, no thread answers. */
	(void)pa_core_bridge->dump_call(&call->told.dump);
	read_silent(call, detail);
	if (copy_and_end(&snapshot) != 0)
		return NULL;
	if (snapshot)
		snapshot->waited_ns = call->told.dump.waited_ns;
	free_call();
	return snapshot;
}

static struct pa_snapshot *take_once(bool detail)
{
	PA_ASSERT_HELD(PA_LOCK_DUMP);
	struct pa_snapshot *snapshot = NULL;
	struct call *call = end_call() ? new_call() : NULL;
	if (call)
		snapshot = take_call(call, detail);
	end_call();
	return snapshot;
}

struct pa_snapshot *pa_goroutine_take(bool detail)
{
	pa_lock(&state.lock);
	struct pa_snapshot *snapshot = take_once(detail);
	for (int i = 1; snapshot && i < DUMPS_MAX && pa_load_relaxed(&state.has_short); i++) {
		pa_snapshot_free(snapshot);
		snapshot = take_once(detail);
	}
	pa_unlock(&state.lock);
	return snapshot;
}

/* ---- the kind ---- */

static void add_answer_locked(const struct pa_profile_ops *kind, const struct pa_event *event,
	const struct pa_stack *stack)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	uint32_t generation = (uint32_t)(event->value[0] >> 32);
	(void)kind;
	pa_goroutine_answer_locked(generation, (uint32_t)event->value[0], stack, event->labels);
}

static int begin_thread_dump_locked(const struct pa_profile_ops *kind,
	union pa_profile_ops_argument argument)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	(void)kind;
	return pa_goroutine_begin_locked(&argument.dump->dump, argument.dump->details);
}

static void end_thread_dump_locked(const struct pa_profile_ops *kind)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	(void)kind;
	pa_goroutine_end_locked();
}

static size_t threads_room(const struct pa_profile_ops *kind)
{
	(void)kind;
	return pa_goroutine_count();
}

/* Under the lock, because it interns the stacks of thread creators. */
static size_t copy_threads(const struct pa_profile_ops *kind, struct pa_sample *out,
	struct pa_thread_info *threads)
{
	(void)kind;
	pa_tables_lock();
	size_t count = pa_goroutine_count();
	pa_goroutine_samples_locked(out, threads);
	pa_tables_unlock();
	return count;
}

static struct pa_snapshot *take_threads(const struct pa_profile_ops *kind, bool detail)
{
	(void)kind;
	return pa_goroutine_take(detail);
}

static size_t count_threads(const struct pa_profile_ops *kind)
{
	(void)kind;
	return pa_goroutine_now();
}

static PA_BOOT void threads_atfork_child(const struct pa_profile_ops *kind, bool kept)
{
	(void)kind;
	if (!kept) {
		state.answers = NULL;
		state.dump.count = 0;
	}
	free_answers();
	pa_lock_reset(&state.lock);
	free_call();
}

const struct pa_profile_ops pa_goroutine_profile = {
	.name = "goroutine",
	.description = "Stack traces of all current goroutines. Use debug=2 as a query "
		       "parameter to export in the same format as an unrecovered panic.",
	PA_PROFILE_OPS_COUNTS("goroutine"),
	.text = PA_PROFILE_OPS_TEXT_THREADS,
	.named = true,
	.has_seconds = true,
	.events = PA_PROFILE_OPS_EVENT(PA_EVENT_DUMP),
	.add = add_answer_locked,
	.begin = begin_thread_dump_locked,
	.end = end_thread_dump_locked,
	.has_threads = true,
	.room = threads_room,
	.samples = copy_threads,
	.take = take_threads,
	.count = count_threads,
	.atfork_child = threads_atfork_child,
	.suspended = end_thread_dump_locked,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "gotrace_threads.h"

#include "../agent/profile/thread_names.h"

/* Ids that `go tool trace` uses for its own rows. */
#define VIEWER_LO 1000000u
#define VIEWER_HI 1000010u
/* Ids of threads whose tid was used by another thread before. Above all tids of Linux; a damaged
 * event can contain any number. */
#define LATER_GOROUTINES 10000000u

bool pa_gotrace_threads_init(struct pa_gotrace_threads *threads, struct pa_gotrace_bytes *bytes,
	struct pa_gotrace_tables *tables)
{
	threads->bytes = bytes;
	threads->tables = tables;
	return pa_gotrace_rows_init(&threads->rows, bytes);
}

void pa_gotrace_threads_free(struct pa_gotrace_threads *threads)
{
	pa_gotrace_rows_free(&threads->rows);
	pa_pair_map_free(&threads->by);
	pa_scratch_free(&threads->at);
}

void pa_gotrace_threads_event(struct pa_gotrace_threads *threads, uint32_t row,
	enum pa_gotrace_type type, const uint64_t *arguments, size_t count)
{
	pa_gotrace_bytes_event(threads->bytes, row, threads->ts, type, arguments, count);
}

/* ---- the table ---- */

static struct pa_gotrace_thread *thread_at(struct pa_gotrace_threads *threads, uint32_t index)
{
	return (struct pa_gotrace_thread *)threads->at.at + index;
}

struct pa_gotrace_thread *pa_gotrace_threads_find(struct pa_gotrace_threads *threads,
	enum pa_gotrace_key_kind kind, uint64_t key)
{
	const uint32_t *index = key ? pa_pair_map_find(&threads->by, kind, key) : NULL;
	return index ? thread_at(threads, *index) : NULL;
}

static bool call_it(struct pa_gotrace_threads *threads, uint32_t group, uint64_t key,
	uint32_t index)
{
	uint32_t *number = pa_pair_map_put(&threads->by, group, key, index);
	if (number)
		*number = index;
	return number != NULL;
}

static uint64_t goroutine_of(struct pa_gotrace_threads *threads, int32_t tid)
{
	bool taken = pa_gotrace_threads_find(threads, PA_GOTRACE_BY_TID, (uint64_t)tid) != NULL;
	bool good = tid > 0 && tid < (int32_t)LATER_GOROUTINES &&
		((uint32_t)tid < VIEWER_LO || (uint32_t)tid > VIEWER_HI);
	return good && !taken ? (uint64_t)tid : LATER_GOROUTINES + threads->later++;
}

struct pa_gotrace_thread *pa_gotrace_threads_create(struct pa_gotrace_threads *threads,
	uint32_t row, int32_t tid, uint64_t serial, const struct pa_stack *entry, uint64_t stack)
{
	uint32_t index = threads->count;
	if (index == PA_GOTRACE_MAX_THREADS ||
		!pa_scratch(&threads->at, (index + (size_t)1) * sizeof(struct pa_gotrace_thread)))
		return NULL;
	uint64_t newstack = entry ?
		pa_gotrace_tables_stack(threads->tables, entry, PA_GOTRACE_ENTRY) :
		pa_gotrace_tables_reserve(threads->tables);
	if (!newstack)
		return NULL;
	struct pa_gotrace_thread *thread = thread_at(threads, index);
	*thread = (struct pa_gotrace_thread){ .tid = tid,
		.goroutine = goroutine_of(threads, tid),
		.sequence = 1,
		.created_ts = threads->ts,
		.entry = entry ? 0 : newstack };
	if ((tid && !call_it(threads, PA_GOTRACE_BY_TID, (uint64_t)tid, index)) ||
		(serial && !call_it(threads, PA_GOTRACE_BY_SERIAL, serial, index)))
		return NULL;
	threads->count++;
	pa_gotrace_threads_event(threads, row, PA_GOTRACE_GO_CREATE,
		PA_GOTRACE_ARGS(thread->goroutine, newstack, stack));
	return thread;
}

static void start_thread(struct pa_gotrace_threads *threads, struct pa_gotrace_thread *thread)
{
	uint32_t row = pa_gotrace_rows_take(&threads->rows, thread->tid, thread->row, threads->ts);
	if (!row)
		return;
	thread->row = row;
	thread->state = PA_GOTRACE_RUNNING;
	if (thread->in_call)
		pa_gotrace_threads_event(threads, row, PA_GOTRACE_GO_SYS_EXIT,
			PA_GOTRACE_ARGS(thread->goroutine, thread->sequence++, 0));
	thread->in_call = false;
	if (thread->name)
		pa_gotrace_threads_event(threads, row, PA_GOTRACE_GO_START_LABEL,
			PA_GOTRACE_ARGS(thread->goroutine, thread->sequence++, thread->name));
	else
		pa_gotrace_threads_event(threads, row, PA_GOTRACE_GO_START,
			PA_GOTRACE_ARGS(thread->goroutine, thread->sequence++));
}

static void unblock_thread(struct pa_gotrace_threads *threads, uint32_t row,
	struct pa_gotrace_thread *thread, uint64_t stack)
{
	pa_gotrace_threads_event(threads, row, PA_GOTRACE_GO_UNBLOCK,
		PA_GOTRACE_ARGS(thread->goroutine, thread->sequence++, stack));
	thread->state = PA_GOTRACE_RUNNABLE;
	thread->object = 0;
}

/*
 * Wakes the thread without a waker if it waits. `go tool trace -pprof=net` (sync, sched) of Go 1.24
 * leaves out waits whose end has no stack: it has the one where the thread waited.
 */
bool pa_gotrace_threads_run(struct pa_gotrace_threads *threads, struct pa_gotrace_thread *thread)
{
	if (thread->state == PA_GOTRACE_WAITING && !thread->in_call)
		unblock_thread(threads, 0, thread, thread->stack);
	if (thread->state == PA_GOTRACE_RUNNABLE || thread->state == PA_GOTRACE_WAITING)
		start_thread(threads, thread);
	return thread->state == PA_GOTRACE_RUNNING;
}

struct pa_gotrace_thread *pa_gotrace_threads_running(struct pa_gotrace_threads *threads,
	int32_t tid, const struct pa_stack *stack)
{
	struct pa_gotrace_thread *thread =
		pa_gotrace_threads_find(threads, PA_GOTRACE_BY_TID, (uint64_t)tid);
	if (!thread)
		thread = pa_gotrace_threads_create(threads, 0, tid, 0, stack, 0);
	if (thread && thread->entry && stack) {
		pa_gotrace_tables_bind(threads->tables, thread->entry, stack);
		thread->entry = 0;
	}
	return thread && pa_gotrace_threads_run(threads, thread) ? thread : NULL;
}

/* The thread leaves its row. */
static void preempt_thread(struct pa_gotrace_threads *threads, struct pa_gotrace_thread *thread)
{
	pa_gotrace_threads_event(threads, thread->row, PA_GOTRACE_GO_PREEMPT,
		PA_GOTRACE_ARGS(thread->stack));
	pa_gotrace_rows_leave(&threads->rows, thread->row);
	thread->state = PA_GOTRACE_RUNNABLE;
}

void pa_gotrace_threads_name(struct pa_gotrace_threads *threads, struct pa_gotrace_thread *thread,
	const char name[PA_EVENT_NAME_BYTES])
{
	char text[PA_THREAD_NAMES_BYTES];
	if (!pa_thread_names_clean(text, sizeof(text), name))
		return;
	uint64_t before = thread->name;
	thread->name = pa_gotrace_tables_text(threads->tables, text);
	if (thread->name == before || thread->state != PA_GOTRACE_RUNNING)
		return;
	preempt_thread(threads, thread);
	start_thread(threads, thread);
}

bool pa_gotrace_threads_call(struct pa_gotrace_threads *threads, struct pa_gotrace_thread *thread,
	int32_t tid)
{
	thread->tid = tid;
	return call_it(threads, PA_GOTRACE_BY_TID, (uint64_t)tid,
		(uint32_t)(thread - thread_at(threads, 0)));
}

/* ---- waits ---- */

static enum pa_trace_events_class class_of_wait(uint32_t wait)
{
	static const uint8_t classes[PA_TRACE_EVENTS_WAIT_COUNT] = {
#define X(name, text, class) [PA_TRACE_EVENTS_IN_##name] = class,
		PA_TRACE_EVENTS_WAITS(X)
#undef X
	};
	return wait < PA_TRACE_EVENTS_WAIT_COUNT ? classes[wait] : PA_TRACE_EVENTS_SYNC;
}

static enum pa_gotrace_type type_of(enum pa_trace_events_class class)
{
	switch (class) {
	case PA_TRACE_EVENTS_COND: return PA_GOTRACE_GO_BLOCK_COND;
	case PA_TRACE_EVENTS_NET: return PA_GOTRACE_GO_BLOCK_NET;
	case PA_TRACE_EVENTS_SLEEP: return PA_GOTRACE_GO_SLEEP;
	default: return PA_GOTRACE_GO_BLOCK_SYNC;
	}
}

void pa_gotrace_threads_block(struct pa_gotrace_threads *threads, struct pa_gotrace_thread *thread,
	enum pa_trace_events_wait wait, const struct pa_stack *stack, uint32_t how,
	uintptr_t object)
{
	enum pa_trace_events_class class = class_of_wait(wait);
	thread->stack = pa_gotrace_tables_stack(threads->tables, stack, how);
	thread->state = PA_GOTRACE_WAITING;
	thread->object = object;
	thread->in_call = class == PA_TRACE_EVENTS_CALL;
	if (thread->in_call) {
		pa_gotrace_threads_event(threads, thread->row, PA_GOTRACE_GO_SYS_CALL,
			PA_GOTRACE_ARGS(thread->stack));
		pa_gotrace_threads_event(threads, thread->row, PA_GOTRACE_GO_SYS_BLOCK, NULL, 0);
		pa_gotrace_rows_stop(&threads->rows, thread->row, threads->ts, false);
		return;
	}
	pa_gotrace_threads_event(threads, thread->row, type_of(class),
		PA_GOTRACE_ARGS(thread->stack));
	pa_gotrace_rows_leave(&threads->rows, thread->row);
}

/* A thread that waits for another object by now has already been woken. */
void pa_gotrace_threads_wake(struct pa_gotrace_threads *threads, const struct pa_gotrace_thread *by,
	int32_t tid, uintptr_t object, const struct pa_stack *stack)
{
	struct pa_gotrace_thread *thread =
		pa_gotrace_threads_find(threads, PA_GOTRACE_BY_TID, (uint64_t)tid);
	if (thread && thread->state == PA_GOTRACE_WAITING && !thread->in_call &&
		thread->object == object)
		unblock_thread(threads, by->row, thread,
			pa_gotrace_tables_stack(threads->tables, stack,
				PA_TRACE_EVENTS_IN_NOTHING));
}

/* ---- the end ---- */

void pa_gotrace_threads_end(struct pa_gotrace_threads *threads, struct pa_gotrace_thread *thread)
{
	pa_gotrace_threads_event(threads, thread->row, PA_GOTRACE_GO_END, NULL, 0);
	pa_gotrace_rows_stop(&threads->rows, thread->row, threads->ts, true);
	thread->state = PA_GOTRACE_DEAD;
}

void pa_gotrace_threads_stop_all(struct pa_gotrace_threads *threads)
{
	for (uint32_t i = 0; i < threads->count; i++) {
		struct pa_gotrace_thread *thread = thread_at(threads, i);
		if (thread->state == PA_GOTRACE_RUNNING)
			preempt_thread(threads, thread);
	}
	pa_gotrace_rows_stop_all(&threads->rows, threads->ts);
}

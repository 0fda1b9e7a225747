#include "trace_threads.h"

#include "../agent/profile/names.h"

/* Ids that the viewer gives its own rows. */
#define VIEWER_LO 1000000u
#define VIEWER_HI 1000010u
/* Threads that are not called by their tid: it was another one's before. Above all tids that Linux
 * gives; what a damaged event says may be anything. */
#define LATER_GOROUTINES 10000000u

bool pa_trace_threads_init(struct pa_trace_threads *threads, struct pa_trace_bytes *bytes,
	struct pa_trace_tables *tables)
{
	threads->bytes = bytes;
	threads->tables = tables;
	return pa_trace_rows_init(&threads->rows, bytes);
}

void pa_trace_threads_free(struct pa_trace_threads *threads)
{
	pa_trace_rows_free(&threads->rows);
	pa_pairmap_free(&threads->by);
	pa_grow_free(&threads->at);
}

void pa_trace_threads_event(struct pa_trace_threads *threads, uint32_t row,
	enum pa_trace_type type, const uint64_t *arguments, size_t count)
{
	pa_trace_bytes_event(threads->bytes, row, threads->ts, type, arguments, count);
}

/* ---- the table ---- */

static struct pa_trace_thread *thread_at(struct pa_trace_threads *threads, uint32_t index)
{
	return (struct pa_trace_thread *)threads->at.at + index;
}

struct pa_trace_thread *pa_trace_threads_find(struct pa_trace_threads *threads,
	enum pa_trace_key_kind kind, uint64_t key)
{
	const uint32_t *index = key ? pa_pairmap_find(&threads->by, kind, key) : NULL;
	return index ? thread_at(threads, *index) : NULL;
}

static bool call_it(struct pa_trace_threads *threads, uint32_t group, uint64_t key, uint32_t index)
{
	uint32_t *number = pa_pairmap_put(&threads->by, group, key, index);
	if (number)
		*number = index;
	return number != NULL;
}

static uint64_t goroutine_of(struct pa_trace_threads *threads, int32_t tid)
{
	bool taken = pa_trace_threads_find(threads, PA_TRACE_BY_TID, (uint64_t)tid) != NULL;
	bool good = tid > 0 && tid < (int32_t)LATER_GOROUTINES &&
		((uint32_t)tid < VIEWER_LO || (uint32_t)tid > VIEWER_HI);
	return good && !taken ? (uint64_t)tid : LATER_GOROUTINES + threads->later++;
}

struct pa_trace_thread *pa_trace_threads_create(struct pa_trace_threads *threads, uint32_t row,
	int32_t tid, uint64_t serial, const struct pa_stack *entry, uint64_t stack)
{
	uint32_t index = threads->count;
	if (index == PA_TRACE_THREADS_MAX ||
		!pa_grow(&threads->at, (index + (size_t)1) * sizeof(struct pa_trace_thread)))
		return NULL;
	uint64_t newstack = entry ? pa_trace_tables_stack(threads->tables, entry, PA_TRACE_ENTRY)
				  : pa_trace_tables_reserve(threads->tables);
	if (!newstack)
		return NULL;
	struct pa_trace_thread *thread = thread_at(threads, index);
	*thread = (struct pa_trace_thread){
		.tid = tid, .goroutine = goroutine_of(threads, tid), .sequence = 1,
		.created_ts = threads->ts, .entry = entry ? 0 : newstack,
	};
	if ((tid && !call_it(threads, PA_TRACE_BY_TID, (uint64_t)tid, index)) ||
		(serial && !call_it(threads, PA_TRACE_BY_SERIAL, serial, index)))
		return NULL;
	threads->count++;
	pa_trace_threads_event(threads, row, PA_TRACE_GO_CREATE,
		PA_TRACE_ARGS(thread->goroutine, newstack, stack));
	return thread;
}

static void start(struct pa_trace_threads *threads, struct pa_trace_thread *thread)
{
	uint32_t row = pa_trace_rows_take(&threads->rows, thread->tid, thread->row, threads->ts);
	if (!row)
		return;
	thread->row = row;
	thread->state = PA_TRACE_RUNNING;
	if (thread->in_call)
		pa_trace_threads_event(threads, row, PA_TRACE_GO_SYS_EXIT,
			PA_TRACE_ARGS(thread->goroutine, thread->sequence++, 0));
	thread->in_call = false;
	if (thread->name)
		pa_trace_threads_event(threads, row, PA_TRACE_GO_START_LABEL,
			PA_TRACE_ARGS(thread->goroutine, thread->sequence++, thread->name));
	else
		pa_trace_threads_event(threads, row, PA_TRACE_GO_START,
			PA_TRACE_ARGS(thread->goroutine, thread->sequence++));
}

static void unblock(struct pa_trace_threads *threads, uint32_t row,
	struct pa_trace_thread *thread, uint64_t stack)
{
	pa_trace_threads_event(threads, row, PA_TRACE_GO_UNBLOCK,
		PA_TRACE_ARGS(thread->goroutine, thread->sequence++, stack));
	thread->state = PA_TRACE_RUNNABLE;
	thread->object = 0;
}

/* Woken by nobody in particular. */
bool pa_trace_threads_run(struct pa_trace_threads *threads, struct pa_trace_thread *thread)
{
	if (thread->state == PA_TRACE_WAITING && !thread->in_call)
		unblock(threads, 0, thread, 0);
	if (thread->state == PA_TRACE_RUNNABLE || thread->state == PA_TRACE_WAITING)
		start(threads, thread);
	return thread->state == PA_TRACE_RUNNING;
}

struct pa_trace_thread *pa_trace_threads_running(struct pa_trace_threads *threads, int32_t tid,
	const struct pa_stack *stack)
{
	struct pa_trace_thread *thread =
		pa_trace_threads_find(threads, PA_TRACE_BY_TID, (uint64_t)tid);
	if (!thread)
		thread = pa_trace_threads_create(threads, 0, tid, 0, stack, 0);
	if (thread && thread->entry && stack) {
		pa_trace_tables_bind(threads->tables, thread->entry, stack);
		thread->entry = 0;
	}
	return thread && pa_trace_threads_run(threads, thread) ? thread : NULL;
}

void pa_trace_threads_name(struct pa_trace_threads *threads, struct pa_trace_thread *thread,
	const char name[PA_THREAD_NAME_BYTES])
{
	char text[PA_NAMES_BYTES];
	if (pa_names_clean(text, sizeof(text), name))
		thread->name = pa_trace_tables_text(threads->tables, text);
}

bool pa_trace_threads_call(struct pa_trace_threads *threads, struct pa_trace_thread *thread,
	int32_t tid)
{
	thread->tid = tid;
	return call_it(threads, PA_TRACE_BY_TID, (uint64_t)tid,
		(uint32_t)(thread - thread_at(threads, 0)));
}

/* ---- waits ---- */

static enum pa_tracing_class class_of(uint32_t wait)
{
	static const uint8_t classes[PA_TRACING_WAIT_COUNT] = {
#define X(name, text, class) [PA_TRACING_IN_##name] = class,
		PA_TRACING_WAITS(X)
#undef X
	};
	return wait < PA_TRACING_WAIT_COUNT ? classes[wait] : PA_TRACING_SYNC;
}

static enum pa_trace_type type_of(enum pa_tracing_class class)
{
	switch (class) {
	case PA_TRACING_COND:
		return PA_TRACE_GO_BLOCK_COND;
	case PA_TRACING_NET:
		return PA_TRACE_GO_BLOCK_NET;
	case PA_TRACING_SLEEP:
		return PA_TRACE_GO_SLEEP;
	default:
		return PA_TRACE_GO_BLOCK_SYNC;
	}
}

void pa_trace_threads_block(struct pa_trace_threads *threads, struct pa_trace_thread *thread,
	enum pa_tracing_wait wait, const struct pa_stack *stack, uint32_t how, uintptr_t object)
{
	enum pa_tracing_class class = class_of(wait);
	thread->stack = pa_trace_tables_stack(threads->tables, stack, how);
	thread->state = PA_TRACE_WAITING;
	thread->object = object;
	thread->in_call = class == PA_TRACING_CALL;
	if (thread->in_call) {
		pa_trace_threads_event(threads, thread->row, PA_TRACE_GO_SYS_CALL,
			PA_TRACE_ARGS(thread->stack));
		pa_trace_threads_event(threads, thread->row, PA_TRACE_GO_SYS_BLOCK, NULL, 0);
		pa_trace_rows_stop(&threads->rows, thread->row, threads->ts, false);
		return;
	}
	pa_trace_threads_event(threads, thread->row, type_of(class), PA_TRACE_ARGS(thread->stack));
	pa_trace_rows_leave(&threads->rows, thread->row);
}

/* Who waits for something else by now has been woken already. */
void pa_trace_threads_wake(struct pa_trace_threads *threads, const struct pa_trace_thread *by,
	int32_t tid, uintptr_t object, const struct pa_stack *stack)
{
	struct pa_trace_thread *thread =
		pa_trace_threads_find(threads, PA_TRACE_BY_TID, (uint64_t)tid);
	if (thread && thread->state == PA_TRACE_WAITING && !thread->in_call &&
		thread->object == object)
		unblock(threads, by->row, thread,
			pa_trace_tables_stack(threads->tables, stack, PA_TRACING_IN_NOTHING));
}

/* ---- the end ---- */

void pa_trace_threads_end(struct pa_trace_threads *threads, struct pa_trace_thread *thread)
{
	pa_trace_threads_event(threads, thread->row, PA_TRACE_GO_END, NULL, 0);
	pa_trace_rows_stop(&threads->rows, thread->row, threads->ts, true);
	thread->state = PA_TRACE_DEAD;
}

void pa_trace_threads_stop_all(struct pa_trace_threads *threads)
{
	for (uint32_t i = 0; i < threads->count; i++) {
		struct pa_trace_thread *thread = thread_at(threads, i);
		if (thread->state != PA_TRACE_RUNNING)
			continue;
		pa_trace_threads_event(threads, thread->row, PA_TRACE_GO_PREEMPT,
			PA_TRACE_ARGS(thread->stack));
		pa_trace_rows_leave(&threads->rows, thread->row);
		thread->state = PA_TRACE_RUNNABLE;
	}
	pa_trace_rows_stop_all(&threads->rows, threads->ts);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "gotrace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "../agent/arch/arch.h"
#include "gotrace_look.h"
#include "gotrace_threads.h"

#define CATEGORY "pprofagent"

struct pa_gotrace {
	struct pa_gotrace_bytes bytes;
	struct pa_gotrace_tables tables;
	struct pa_gotrace_threads threads;
	struct pa_gotrace_look *look;
	int64_t start_ns;
};

struct pa_gotrace *pa_gotrace_new(const struct pa_sink *sink)
{
	struct pa_gotrace *trace = pa_map(sizeof(*trace));
	if (!trace)
		return NULL;
	trace->look = pa_gotrace_look_new();
	if (!trace->look || pa_gotrace_tables_init(&trace->tables, &trace->bytes) != 0 ||
		!pa_gotrace_threads_init(&trace->threads, &trace->bytes, &trace->tables)) {
		pa_gotrace_free(trace);
		return NULL;
	}
	pa_gotrace_bytes_begin(&trace->bytes, sink);
	return trace;
}

void pa_gotrace_free(struct pa_gotrace *trace)
{
	if (trace->look)
		pa_gotrace_look_free(trace->look);
	pa_gotrace_threads_free(&trace->threads);
	pa_gotrace_tables_free(&trace->tables);
	pa_unmap(trace, sizeof(*trace));
}

static void write_event(struct pa_gotrace *trace, uint32_t row, enum pa_gotrace_type type,
	const uint64_t *arguments, size_t count)
{
	pa_gotrace_threads_event(&trace->threads, row, type, arguments, count);
}

/* ---- time ---- */

static uint64_t ts_of(const struct pa_gotrace *trace, int64_t time_ns)
{
	int64_t since_ns = time_ns - trace->start_ns;
	return since_ns > 0 ? (uint64_t)since_ns + PA_GOTRACE_TICK_BEGUN : PA_GOTRACE_TICK_BEGUN;
}

/* State of threads that exist at the start is newer than such an event. */
static bool is_before_start(const struct pa_gotrace *trace, const struct pa_trace_queue_item *item)
{
	return item->time_ns < trace->start_ns;
}

/* Never moves back: events may be recorded between reading the clock and reserving a slot of the
 * ring. */
static void advance_time(struct pa_gotrace *trace, int64_t time_ns)
{
	uint64_t ts = ts_of(trace, time_ns);
	if (ts > trace->threads.ts)
		trace->threads.ts = ts;
}

/* ---- what events mean ---- */

static struct pa_gotrace_thread *running_thread(struct pa_gotrace *trace,
	const struct pa_trace_queue_item *item)
{
	return pa_gotrace_threads_running(&trace->threads, item->tid, item->stack);
}

static uint64_t plain_stack(struct pa_gotrace *trace, const struct pa_stack *stack)
{
	return pa_gotrace_tables_stack(&trace->tables, stack, PA_TRACE_EVENTS_IN_NOTHING);
}

static void on_create(struct pa_gotrace *trace, const struct pa_trace_queue_item *item)
{
	const struct pa_gotrace_thread *parent = running_thread(trace, item);
	/* A thread created before the start may already be in the table, under its tid. */
	if (!item->link || is_before_start(trace, item) ||
		pa_gotrace_threads_find(&trace->threads, PA_GOTRACE_BY_SERIAL, item->link))
		return;
	uint32_t row = parent ? parent->row : 0;
	uint64_t stack = parent ? plain_stack(trace, item->stack) : 0;
	pa_gotrace_threads_create(&trace->threads, row, 0, item->link, item->entry, stack);
}

/*
 * First event of a thread: an earlier thread with the same tid has ended, even if its end was lost.
 */
static void on_start(struct pa_gotrace *trace, const struct pa_trace_queue_item *item)
{
	struct pa_gotrace_threads *threads = &trace->threads;
	struct pa_gotrace_thread *old =
		pa_gotrace_threads_find(threads, PA_GOTRACE_BY_TID, (uint64_t)item->tid);
	if (old && old->state != PA_GOTRACE_DEAD && is_before_start(trace, item))
		return;
	if (old && pa_gotrace_threads_run(threads, old))
		pa_gotrace_threads_end(threads, old);
	struct pa_gotrace_thread *thread =
		pa_gotrace_threads_find(threads, PA_GOTRACE_BY_SERIAL, item->link);
	if (!thread || thread->tid || thread->state != PA_GOTRACE_RUNNABLE)
		thread = pa_gotrace_threads_create(threads, 0, item->tid, 0, item->entry, 0);
	if (thread && pa_gotrace_threads_call(threads, thread, item->tid))
		pa_gotrace_threads_run(threads, thread);
}

static void on_end(struct pa_gotrace *trace, const struct pa_gotrace_step *step)
{
	struct pa_gotrace_thread *thread = running_thread(trace, &step->item);
	if (!thread)
		return;
	if (step->wakes)
		pa_gotrace_threads_wake(&trace->threads, thread, step->wakes, step->item.object,
			step->item.stack);
	pa_gotrace_threads_end(&trace->threads, thread);
}

static void on_block(struct pa_gotrace *trace, const struct pa_gotrace_step *step)
{
	const struct pa_trace_queue_item *item = &step->item;
	struct pa_gotrace_thread *thread = running_thread(trace, item);
	if (!thread)
		return;
	pa_gotrace_threads_name(&trace->threads, thread, item->name);
	if (step->wakes) /* the last thread at a barrier */
		pa_gotrace_threads_wake(&trace->threads, thread, step->wakes, item->object,
			item->stack);
	if (step->dropped)
		return;
	pa_gotrace_threads_block(&trace->threads, thread, item->wait, item->stack, item->wait,
		item->object);
	thread->grace = 1;
}

/* The release has left the window, or woke other threads too: it is written now, by the releasing
 * thread if that one still runs. */
static void on_woke(struct pa_gotrace *trace, const struct pa_gotrace_step *step)
{
	struct pa_gotrace_threads *threads = &trace->threads;
	int32_t tid = step->item.tid;
	const struct pa_gotrace_thread *by =
		pa_gotrace_threads_find(threads, PA_GOTRACE_BY_TID, (uint64_t)step->woken_by);
	const struct pa_gotrace_thread *thread =
		pa_gotrace_threads_find(threads, PA_GOTRACE_BY_TID, (uint64_t)tid);
	if (thread && by && by != thread && by->state == PA_GOTRACE_RUNNING)
		pa_gotrace_threads_wake(threads, by, tid, thread->object, step->release);
	pa_gotrace_threads_running(threads, tid, NULL);
}

static void on_release(struct pa_gotrace *trace, const struct pa_gotrace_step *step)
{
	const struct pa_trace_queue_item *item = &step->item;
	const struct pa_gotrace_thread *thread = running_thread(trace, item);
	if (thread && step->wakes)
		pa_gotrace_threads_wake(&trace->threads, thread, step->wakes, item->object,
			item->stack);
}

/* A thread may be sampled once on its way into or out of a recorded wait. More samples mean that
 * the end of the wait was lost. */
static struct pa_gotrace_thread *sampled_thread(struct pa_gotrace *trace,
	const struct pa_trace_queue_item *item)
{
	struct pa_gotrace_thread *thread =
		pa_gotrace_threads_find(&trace->threads, PA_GOTRACE_BY_TID, (uint64_t)item->tid);
	if (!thread || thread->state != PA_GOTRACE_WAITING || !thread->grace)
		return running_thread(trace, item);
	thread->grace--;
	return thread;
}

/* A sample has its own time, independent of the events around it. */
static void on_tick(struct pa_gotrace *trace, const struct pa_trace_queue_item *item)
{
	struct pa_gotrace_thread *thread = sampled_thread(trace, item);
	if (!thread)
		return;
	pa_gotrace_threads_name(&trace->threads, thread, item->name);
	uint64_t stack = plain_stack(trace, item->stack);
	uint64_t ts = ts_of(trace, item->time_ns);
	thread->stack = stack;
	/* One reader (`go tool trace`) attributes a sample at the time of a goroutine's creation to
	 * the older goroutine. */
	if (ts > thread->created_ts)
		pa_gotrace_bytes_sample(&trace->bytes,
			PA_GOTRACE_ARGS(ts, thread->row, thread->goroutine, stack));
}

/* ---- the program's own ---- */

static void on_region(struct pa_gotrace *trace, struct pa_gotrace_thread *thread,
	const struct pa_gotrace_step *step, uint64_t stack)
{
	uint64_t name = pa_gotrace_tables_text(&trace->tables, step->text);
	if (thread->regions == PA_GOTRACE_REGIONS)
		return;
	thread->region[thread->regions++] = (struct pa_gotrace_region){ step->item.link, name };
	write_event(trace, thread->row, PA_GOTRACE_USER_REGION,
		PA_GOTRACE_ARGS(step->item.link, 0, name, stack));
}

/*
 * Ends the innermost region that is open in the trace; regions opened before the trace are ignored.
 */
static void on_region_end(struct pa_gotrace *trace, struct pa_gotrace_thread *thread,
	const struct pa_gotrace_step *step, uint64_t stack)
{
	if (!thread->regions)
		return;
	const struct pa_gotrace_region *region = &thread->region[thread->regions - 1];
	uint64_t name = pa_gotrace_tables_text(&trace->tables, step->text);
	if (region->task != step->item.link || region->name != name)
		return;
	thread->regions--;
	write_event(trace, thread->row, PA_GOTRACE_USER_REGION,
		PA_GOTRACE_ARGS(region->task, 1, region->name, stack));
}

static void on_user_log(struct pa_gotrace *trace, const struct pa_gotrace_thread *thread,
	const struct pa_gotrace_step *step, uint64_t stack)
{
	size_t category = strlen(step->text);
	const char *message = category < step->item.text_bytes ? step->text + category + 1 : "";
	pa_gotrace_bytes_log(&trace->bytes, thread->row, trace->threads.ts, step->item.link,
		pa_gotrace_tables_text(&trace->tables, step->text), stack, message);
}

static void on_annotation(struct pa_gotrace *trace, const struct pa_gotrace_step *step)
{
	const struct pa_trace_queue_item *item = &step->item;
	struct pa_gotrace_thread *thread = running_thread(trace, item);
	uint64_t stack = plain_stack(trace, item->stack);
	/* Readers fail on these events without a stack. */
	if (!thread || !stack)
		return;
	switch (item->op) {
	case PA_TRACE_EVENTS_TASK:
		write_event(trace, thread->row, PA_GOTRACE_USER_TASK_CREATE,
			PA_GOTRACE_ARGS(item->link, item->object,
				pa_gotrace_tables_text(&trace->tables, step->text), stack));
		break;
	case PA_TRACE_EVENTS_TASK_END:
		write_event(trace, thread->row, PA_GOTRACE_USER_TASK_END,
			PA_GOTRACE_ARGS(item->link, stack));
		break;
	case PA_TRACE_EVENTS_REGION: on_region(trace, thread, step, stack); break;
	case PA_TRACE_EVENTS_REGION_END: on_region_end(trace, thread, step, stack); break;
	case PA_TRACE_EVENTS_LOG: on_user_log(trace, thread, step, stack); break;
	}
}

static void handle_step(struct pa_gotrace *trace, const struct pa_gotrace_step *step)
{
	const struct pa_trace_queue_item *item = &step->item;
	if (pa_gotrace_is_over(trace))
		return;
	advance_time(trace, item->time_ns);
	switch (item->op) {
	case PA_TRACE_EVENTS_CREATE: on_create(trace, item); break;
	case PA_TRACE_EVENTS_START: on_start(trace, item); break;
	case PA_TRACE_EVENTS_END: on_end(trace, step); break;
	case PA_TRACE_EVENTS_BLOCK: on_block(trace, step); break;
	case PA_TRACE_EVENTS_WOKE:
		if (!step->dropped)
			on_woke(trace, step);
		break;
	case PA_TRACE_EVENTS_RELEASE: on_release(trace, step); break;
	case PA_TRACE_EVENTS_TICK: on_tick(trace, item); break;
	case PA_TRACE_EVENTS_HEAP:
		write_event(trace, 0, PA_GOTRACE_HEAP_ALLOC, PA_GOTRACE_ARGS(item->object));
		break;
	default: on_annotation(trace, step); break;
	}
}

/* ---- the trace ---- */

/* Kind of wait of a thread blocked in a system call. For futex the stack tells more. */
static enum pa_trace_events_wait wait_in(int32_t call)
{
	switch (call) {
	case SYS_futex: return PA_TRACE_EVENTS_IN_FUTEX;
	case PA_SYS_POLL:
	case SYS_ppoll:
	case PA_SYS_SELECT:
	case SYS_pselect6:
	case PA_SYS_EPOLL_WAIT:
	case SYS_epoll_pwait:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_accept:
	case SYS_accept4:
	case SYS_connect: return PA_TRACE_EVENTS_IN_POLL;
	case SYS_nanosleep:
	case SYS_clock_nanosleep: return PA_TRACE_EVENTS_IN_SLEEP;
	default: return PA_TRACE_EVENTS_IN_OTHER_CALL;
	}
}

static void begin_thread(struct pa_gotrace *trace, const struct pa_sample *sample)
{
	const struct pa_thread_info *info = sample->info;
	struct pa_gotrace_thread *thread =
		pa_gotrace_threads_find(&trace->threads, PA_GOTRACE_BY_TID, (uint64_t)sample->tid);
	if (!thread)
		return;
	if (sample->thread)
		thread->name = pa_gotrace_tables_text(&trace->tables, sample->thread);
	if (!pa_gotrace_threads_run(&trace->threads, thread))
		return;
	thread->stack = plain_stack(trace, sample->stack);
	if (!info || info->syscall < 0)
		return;
	enum pa_trace_events_wait wait =
		info->wait ? (enum pa_trace_events_wait)info->wait : wait_in(info->syscall);
	/* The stack includes the call itself: no frame needs to be added. */
	pa_gotrace_threads_block(&trace->threads, thread, wait, sample->stack,
		PA_TRACE_EVENTS_IN_NOTHING, info->object);
}

static void create_all(struct pa_gotrace *trace, int32_t pid, const struct pa_snapshot *threads)
{
	for (size_t i = 0; threads && i < threads->sample_count; i++)
		pa_gotrace_threads_create(&trace->threads, 0, threads->samples[i].tid, 0,
			threads->samples[i].stack, 0);
	/* A trace must begin with at least one goroutine. */
	if (!trace->threads.count)
		pa_gotrace_threads_create(&trace->threads, 0, pid, 0, NULL, 0);
}

void pa_gotrace_begin(struct pa_gotrace *trace, const struct pa_gotrace_process *process,
	const struct pa_snapshot *threads, int64_t start_ns)
{
	trace->start_ns = start_ns;
	trace->threads.ts = PA_GOTRACE_TICK_CREATED;
	create_all(trace, process->pid, threads);
	pa_gotrace_bytes_record(&trace->bytes, PA_GOTRACE_FREQUENCY, PA_GOTRACE_ARGS(PA_NS_PER_S));
	trace->threads.ts = PA_GOTRACE_TICK_OWN_ROW;
	pa_gotrace_rows_start_own(&trace->threads.rows, process->writer_tid, trace->threads.ts);
	trace->threads.ts = PA_GOTRACE_TICK_PROCESSORS;
	write_event(trace, 0, PA_GOTRACE_GOMAXPROCS, PA_GOTRACE_ARGS(process->processors, 0));
	trace->threads.ts = PA_GOTRACE_TICK_BEGUN;
	for (size_t i = 0; threads && i < threads->sample_count; i++)
		begin_thread(trace, &threads->samples[i]);
}

void pa_gotrace_feed(struct pa_gotrace *trace, const struct pa_trace_queue_item *items,
	size_t count)
{
	for (size_t at = 0; at < count; at += 1 + pa_trace_queue_text_items(&items[at])) {
		const struct pa_gotrace_step *step = pa_gotrace_look_push(trace->look, &items[at]);
		if (step)
			handle_step(trace, step);
	}
}

static bool is_trace_full(const struct pa_gotrace *trace)
{
	return trace->bytes.total >= PA_GOTRACE_MAX_BYTES ||
		trace->bytes.records >= PA_GOTRACE_RECORDS_MAX;
}

bool pa_gotrace_is_over(const struct pa_gotrace *trace)
{
	return trace->bytes.failed || is_trace_full(trace);
}

static void put_comment(struct pa_gotrace *trace, const char *text)
{
	pa_gotrace_bytes_log(&trace->bytes, 0, trace->threads.ts, 0,
		pa_gotrace_tables_text(&trace->tables, CATEGORY), 0, text);
}

static void write_comments(struct pa_gotrace *trace, bool full, uint64_t lost)
{
	char text[128];
	if (full)
		put_comment(trace,
			"the trace ended early: it reached the limit of 32 MiB or "
			"5,000,000 events");
	if (!lost)
		return;
	snprintf(text, sizeof(text), "%ju events are missing: they came faster than they were read",
		(uintmax_t)lost);
	put_comment(trace, text);
}

int pa_gotrace_finish(struct pa_gotrace *trace, int64_t end_ns, uint64_t lost)
{
	bool full = is_trace_full(trace);
	for (const struct pa_gotrace_step *step; (step = pa_gotrace_look_pop(trace->look));)
		handle_step(trace, step);
	if (!full)
		advance_time(trace, end_ns);
	write_comments(trace, full, lost);
	pa_gotrace_threads_stop_all(&trace->threads);
	return pa_gotrace_bytes_flush(&trace->bytes);
}

int pa_gotrace_write_tables(struct pa_gotrace *trace, const struct pa_sink *sink)
{
	trace->bytes.sink = sink;
	return pa_gotrace_tables_write(&trace->tables);
}

static size_t tables_bytes(const struct pa_gotrace_tables *tables)
{
	return pa_pair_map_bytes(&tables->numbers) + tables->keys.bytes +
		pa_strtab_bytes(&tables->strings) + tables->texts.mapped_bytes;
}

static size_t threads_bytes(const struct pa_gotrace_threads *threads)
{
	return pa_pair_map_bytes(&threads->by) + threads->at.bytes + threads->rows.at.bytes +
		threads->rows.idle.bytes;
}

struct pa_gotrace_stats pa_gotrace_stats(const struct pa_gotrace *trace)
{
	return (struct pa_gotrace_stats){ trace->bytes.total, trace->bytes.records,
		trace->threads.count,
		sizeof(*trace) + pa_gotrace_look_bytes() + tables_bytes(&trace->tables) +
			threads_bytes(&trace->threads) };
}

#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace_look.h"
#include "trace_threads.h"

#define CATEGORY "pprofagent"

struct pa_trace {
	struct pa_trace_bytes bytes;
	struct pa_trace_tables tables;
	struct pa_trace_threads threads;
	struct pa_trace_look *look;
	int64_t start_ns;
};

struct pa_trace *pa_trace_new(const struct pa_sink *sink)
{
	struct pa_trace *trace = pa_map(sizeof(*trace));
	if (!trace)
		return NULL;
	trace->look = pa_trace_look_new();
	if (!trace->look || pa_trace_tables_init(&trace->tables, &trace->bytes) != 0 ||
		!pa_trace_threads_init(&trace->threads, &trace->bytes, &trace->tables)) {
		pa_trace_free(trace);
		return NULL;
	}
	pa_trace_bytes_begin(&trace->bytes, sink);
	return trace;
}

void pa_trace_free(struct pa_trace *trace)
{
	if (trace->look)
		pa_trace_look_free(trace->look);
	pa_trace_threads_free(&trace->threads);
	pa_trace_tables_free(&trace->tables);
	pa_unmap(trace, sizeof(*trace));
}

static void write_event(struct pa_trace *trace, uint32_t row, enum pa_trace_type type,
	const uint64_t *arguments, size_t count)
{
	pa_trace_threads_event(&trace->threads, row, type, arguments, count);
}

/* ---- time ---- */

static uint64_t ts_of(const struct pa_trace *trace, int64_t time_ns)
{
	int64_t since_ns = time_ns - trace->start_ns;
	return since_ns > 0 ? (uint64_t)since_ns + PA_TRACE_TICK_BEGUN : PA_TRACE_TICK_BEGUN;
}

/* The threads that were there then have been asked later than that. */
static bool is_before_start(const struct pa_trace *trace, const struct pa_tracer_item *item)
{
	return item->time_ns < trace->start_ns;
}

/* It does not go back: what was recorded between a clock and a place in the ring. */
static void advance(struct pa_trace *trace, int64_t time_ns)
{
	uint64_t ts = ts_of(trace, time_ns);
	if (ts > trace->threads.ts)
		trace->threads.ts = ts;
}

/* ---- what events mean ---- */

static struct pa_trace_thread *running(struct pa_trace *trace, const struct pa_tracer_item *item)
{
	return pa_trace_threads_running(&trace->threads, item->tid, item->stack);
}

static uint64_t plain_stack(struct pa_trace *trace, const struct pa_stack *stack)
{
	return pa_trace_tables_stack(&trace->tables, stack, PA_TRACING_IN_NOTHING);
}

static void on_create(struct pa_trace *trace, const struct pa_tracer_item *item)
{
	const struct pa_trace_thread *parent = running(trace, item);
	/* Who was created before may be there already, under its tid. */
	if (!item->link || is_before_start(trace, item) ||
		pa_trace_threads_find(&trace->threads, PA_TRACE_BY_SERIAL, item->link))
		return;
	uint32_t row = parent ? parent->row : 0;
	uint64_t stack = parent ? plain_stack(trace, item->stack) : 0;
	pa_trace_threads_create(&trace->threads, row, 0, item->link,
		item->entry, stack);
}

/* The first event of a thread: whoever had the tid before has ended, even if that was lost. */
static void on_start(struct pa_trace *trace, const struct pa_tracer_item *item)
{
	struct pa_trace_threads *threads = &trace->threads;
	struct pa_trace_thread *old =
		pa_trace_threads_find(threads, PA_TRACE_BY_TID, (uint64_t)item->tid);
	if (old && old->state != PA_TRACE_DEAD && is_before_start(trace, item))
		return;
	if (old && pa_trace_threads_run(threads, old))
		pa_trace_threads_end(threads, old);
	struct pa_trace_thread *thread =
		pa_trace_threads_find(threads, PA_TRACE_BY_SERIAL, item->link);
	if (!thread || thread->tid || thread->state != PA_TRACE_RUNNABLE)
		thread = pa_trace_threads_create(threads, 0, item->tid, 0,
			item->entry, 0);
	if (thread && pa_trace_threads_call(threads, thread, item->tid))
		pa_trace_threads_run(threads, thread);
}

static void on_end(struct pa_trace *trace, const struct pa_trace_step *step)
{
	struct pa_trace_thread *thread = running(trace, &step->item);
	if (!thread)
		return;
	if (step->wakes)
		pa_trace_threads_wake(&trace->threads, thread, step->wakes, step->item.object,
			step->item.stack);
	pa_trace_threads_end(&trace->threads, thread);
}

static void on_block(struct pa_trace *trace, const struct pa_trace_step *step)
{
	const struct pa_tracer_item *item = &step->item;
	struct pa_trace_thread *thread = running(trace, item);
	if (!thread)
		return;
	pa_trace_threads_name(&trace->threads, thread, item->name);
	if (step->wakes) /* the last one at a barrier */
		pa_trace_threads_wake(&trace->threads, thread, step->wakes, item->object,
			item->stack);
	if (step->dropped)
		return;
	pa_trace_threads_block(&trace->threads, thread, item->wait, item->stack,
		item->wait, item->object);
	thread->grace = 1;
}

/* The release came out of the window before, or woke others too: it is written now, by who did it
 * if that one still runs. */
static void on_woke(struct pa_trace *trace, const struct pa_trace_step *step)
{
	struct pa_trace_threads *threads = &trace->threads;
	int32_t tid = step->item.tid;
	const struct pa_trace_thread *by =
		pa_trace_threads_find(threads, PA_TRACE_BY_TID, (uint64_t)step->woken_by);
	const struct pa_trace_thread *thread =
		pa_trace_threads_find(threads, PA_TRACE_BY_TID, (uint64_t)tid);
	if (thread && by && by != thread && by->state == PA_TRACE_RUNNING)
		pa_trace_threads_wake(threads, by, tid, thread->object, step->release);
	pa_trace_threads_running(threads, tid, NULL);
}

static void on_release(struct pa_trace *trace, const struct pa_trace_step *step)
{
	const struct pa_tracer_item *item = &step->item;
	const struct pa_trace_thread *thread = running(trace, item);
	if (thread && step->wakes)
		pa_trace_threads_wake(&trace->threads, thread, step->wakes, item->object,
			item->stack);
}

/*
 * On its way into a wait that was told, or out of it, a thread may be sampled once. More samples
 * mean that the end of the wait was lost.
 */
static struct pa_trace_thread *sampled(struct pa_trace *trace, const struct pa_tracer_item *item)
{
	struct pa_trace_thread *thread =
		pa_trace_threads_find(&trace->threads, PA_TRACE_BY_TID, (uint64_t)item->tid);
	if (!thread || thread->state != PA_TRACE_WAITING || !thread->grace)
		return running(trace, item);
	thread->grace--;
	return thread;
}

/* Its own time, which the events around it do not have. */
static void on_tick(struct pa_trace *trace, const struct pa_tracer_item *item)
{
	struct pa_trace_thread *thread = sampled(trace, item);
	if (!thread)
		return;
	pa_trace_threads_name(&trace->threads, thread, item->name);
	uint64_t stack = plain_stack(trace, item->stack);
	uint64_t ts = ts_of(trace, item->time_ns);
	thread->stack = stack;
	/* One reader takes a sample of the same moment for the older one. */
	if (ts > thread->created_ts)
		pa_trace_bytes_sample(&trace->bytes,
			PA_TRACE_ARGS(ts, thread->row, thread->goroutine, stack));
}

/* ---- the program's own ---- */

static void on_region(struct pa_trace *trace, struct pa_trace_thread *thread,
	const struct pa_trace_step *step, uint64_t stack)
{
	uint64_t name = pa_trace_tables_text(&trace->tables, step->text);
	if (thread->regions == PA_TRACE_REGIONS)
		return;
	thread->region[thread->regions++] = (struct pa_trace_region){ step->item.link, name };
	write_event(trace, thread->row, PA_TRACE_USER_REGION,
		PA_TRACE_ARGS(step->item.link, 0, name, stack));
}

/* The innermost one that is open here; what was opened before the trace is not ended in it. */
static void on_region_end(struct pa_trace *trace, struct pa_trace_thread *thread,
	const struct pa_trace_step *step, uint64_t stack)
{
	if (!thread->regions)
		return;
	const struct pa_trace_region *region = &thread->region[thread->regions - 1];
	uint64_t name = pa_trace_tables_text(&trace->tables, step->text);
	if (region->task != step->item.link || region->name != name)
		return;
	thread->regions--;
	write_event(trace, thread->row, PA_TRACE_USER_REGION,
		PA_TRACE_ARGS(region->task, 1, region->name, stack));
}

static void on_log(struct pa_trace *trace, const struct pa_trace_thread *thread,
	const struct pa_trace_step *step, uint64_t stack)
{
	size_t category = strlen(step->text);
	const char *message = category < step->item.text_bytes ? step->text + category + 1 : "";
	pa_trace_bytes_log(&trace->bytes, thread->row, trace->threads.ts, step->item.link,
		pa_trace_tables_text(&trace->tables, step->text), stack, message);
}

static void on_annotation(struct pa_trace *trace, const struct pa_trace_step *step)
{
	const struct pa_tracer_item *item = &step->item;
	struct pa_trace_thread *thread = running(trace, item);
	uint64_t stack = plain_stack(trace, item->stack);
	/* Without a stack readers break. */
	if (!thread || !stack)
		return;
	switch (item->op) {
	case PA_TRACING_TASK:
		write_event(trace, thread->row, PA_TRACE_USER_TASK_CREATE,
			PA_TRACE_ARGS(item->link, item->object,
				pa_trace_tables_text(&trace->tables, step->text), stack));
		break;
	case PA_TRACING_TASK_END:
		write_event(trace, thread->row, PA_TRACE_USER_TASK_END,
			PA_TRACE_ARGS(item->link, stack));
		break;
	case PA_TRACING_REGION:
		on_region(trace, thread, step, stack);
		break;
	case PA_TRACING_REGION_END:
		on_region_end(trace, thread, step, stack);
		break;
	case PA_TRACING_LOG:
		on_log(trace, thread, step, stack);
		break;
	}
}

static void handle(struct pa_trace *trace, const struct pa_trace_step *step)
{
	const struct pa_tracer_item *item = &step->item;
	if (pa_trace_is_over(trace))
		return;
	advance(trace, item->time_ns);
	switch (item->op) {
	case PA_TRACING_CREATE:
		on_create(trace, item);
		break;
	case PA_TRACING_START:
		on_start(trace, item);
		break;
	case PA_TRACING_END:
		on_end(trace, step);
		break;
	case PA_TRACING_BLOCK:
		on_block(trace, step);
		break;
	case PA_TRACING_WOKE:
		if (!step->dropped)
			on_woke(trace, step);
		break;
	case PA_TRACING_RELEASE:
		on_release(trace, step);
		break;
	case PA_TRACING_TICK:
		on_tick(trace, item);
		break;
	case PA_TRACING_HEAP:
		write_event(trace, 0, PA_TRACE_HEAP_ALLOC, PA_TRACE_ARGS(item->object));
		break;
	default:
		on_annotation(trace, step);
		break;
	}
}

/* ---- the trace ---- */

/* What a thread that is blocked in a system call waits in. Of a futex its stack says more. */
static enum pa_tracing_wait wait_in(int32_t call)
{
	switch (call) {
	case SYS_futex:
		return PA_TRACING_IN_FUTEX;
	case SYS_poll:
	case SYS_ppoll:
	case SYS_select:
	case SYS_pselect6:
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_accept:
	case SYS_accept4:
	case SYS_connect:
		return PA_TRACING_IN_POLL;
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
		return PA_TRACING_IN_SLEEP;
	default:
		return PA_TRACING_IN_OTHER_CALL;
	}
}

static void begin_thread(struct pa_trace *trace, const struct pa_sample *sample)
{
	const struct pa_about *about = sample->about;
	struct pa_trace_thread *thread =
		pa_trace_threads_find(&trace->threads, PA_TRACE_BY_TID, (uint64_t)sample->tid);
	if (!thread)
		return;
	if (sample->thread)
		thread->name = pa_trace_tables_text(&trace->tables, sample->thread);
	if (!pa_trace_threads_run(&trace->threads, thread))
		return;
	thread->stack = plain_stack(trace, sample->stack);
	if (!about || about->syscall < 0)
		return;
	enum pa_tracing_wait wait = about->wait ? (enum pa_tracing_wait)about->wait
						: wait_in(about->syscall);
	/* The stack goes down to the call itself: no frame needs to be added. */
	pa_trace_threads_block(&trace->threads, thread, wait, sample->stack,
		PA_TRACING_IN_NOTHING, about->object);
}

static void create_all(struct pa_trace *trace, const struct pa_snapshot *threads)
{
	for (size_t i = 0; threads && i < threads->sample_count; i++)
		pa_trace_threads_create(&trace->threads, 0, threads->samples[i].tid, 0,
			threads->samples[i].stack, 0);
	/* A trace has to begin with somebody. */
	if (!trace->threads.count)
		pa_trace_threads_create(&trace->threads, 0, getpid(), 0, NULL,
			0);
}

void pa_trace_begin(struct pa_trace *trace, const struct pa_snapshot *threads, int64_t start_ns)
{
	trace->start_ns = start_ns;
	trace->threads.ts = PA_TRACE_TICK_CREATED;
	create_all(trace, threads);
	pa_trace_bytes_record(&trace->bytes, PA_TRACE_FREQUENCY, PA_TRACE_ARGS(PA_NS_PER_S));
	trace->threads.ts = PA_TRACE_TICK_OWN_ROW;
	pa_trace_rows_start_own(&trace->threads.rows, (int32_t)syscall(SYS_gettid),
		trace->threads.ts);
	trace->threads.ts = PA_TRACE_TICK_PROCESSORS;
	uint64_t processors = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	write_event(trace, 0, PA_TRACE_GOMAXPROCS, PA_TRACE_ARGS(processors, 0));
	trace->threads.ts = PA_TRACE_TICK_BEGUN;
	for (size_t i = 0; threads && i < threads->sample_count; i++)
		begin_thread(trace, &threads->samples[i]);
}

void pa_trace_feed(struct pa_trace *trace, const struct pa_tracer_item *items, size_t count)
{
	for (size_t at = 0; at < count; at += 1 + pa_tracer_text_items(&items[at])) {
		const struct pa_trace_step *step = pa_trace_look_push(trace->look, &items[at]);
		if (step)
			handle(trace, step);
	}
}

static bool is_full(const struct pa_trace *trace)
{
	return trace->bytes.total >= PA_TRACE_BYTES_MAX ||
		trace->bytes.records >= PA_TRACE_RECORDS_MAX;
}

bool pa_trace_is_over(const struct pa_trace *trace)
{
	return trace->bytes.failed || is_full(trace);
}

static void comment(struct pa_trace *trace, const char *text)
{
	pa_trace_bytes_log(&trace->bytes, 0, trace->threads.ts, 0,
		pa_trace_tables_text(&trace->tables, CATEGORY), 0, text);
}

static void write_comments(struct pa_trace *trace, bool full, uint64_t lost)
{
	char text[128];
	if (full)
		comment(trace, "the trace ended early: it reached the limit of 32 MiB or "
			       "5,000,000 events");
	if (!lost)
		return;
	snprintf(text, sizeof(text), "%ju events are missing: they came faster than they were read",
		(uintmax_t)lost);
	comment(trace, text);
}

int pa_trace_finish(struct pa_trace *trace, int64_t end_ns, uint64_t lost)
{
	bool full = is_full(trace);
	for (const struct pa_trace_step *step; (step = pa_trace_look_pop(trace->look));)
		handle(trace, step);
	if (!full)
		advance(trace, end_ns);
	write_comments(trace, full, lost);
	pa_trace_threads_stop_all(&trace->threads);
	return pa_trace_bytes_flush(&trace->bytes);
}

int pa_trace_tables(struct pa_trace *trace, const struct pa_sink *sink)
{
	trace->bytes.sink = sink;
	return pa_trace_tables_write(&trace->tables);
}

struct pa_trace_stats pa_trace_stats(const struct pa_trace *trace)
{
	return (struct pa_trace_stats){ trace->bytes.total, trace->bytes.records,
		trace->threads.count };
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_endpoint.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "../../proto/gotrace.h"
#include "../../proto/look_up.h"
#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "../core/core.h"
#include "../profile/cpu.h"
#include "../symbols/symbols.h"
#include "flight.h"
#include "profile_endpoints.h"
#include "query.h"
#include "queue_clock.h"
#include "reply.h"
#include "trace_process.h"
#include "worker_wait.h"

#define SECONDS 1.0
#define SECONDS_MAX 1e9
#define VALUE_BYTES 64
#define FILE_NAME "trace"

/* How long events wait in the queue, and how many are moved at once. Short, because a program that
 * exits waits for the end of the trace. */
#define PAUSE_NS (4 * PA_NS_PER_MS)
#define ITEMS 4096

static struct {
	PA_ATOMIC(uint32_t) running;   /* traces being taken; acq_rel, futex of finish */
	PA_ATOMIC(uint32_t) finishing; /* the program exits; release in finish */
} state;

/* State of one response. */
struct answer {
	struct pa_http *http;
	struct pa_gotrace *trace;
	struct pa_sink sink;
	struct pa_trace_queue_item items[ITEMS];
};

void pa_trace_endpoint_finish(int64_t timeout_ns)
{
	int64_t end_ns = pa_clock_mono_ns() + timeout_ns;
	pa_store_release(&state.finishing, 1);
	/* Terminates at end_ns. */
	for (uint32_t now; (now = pa_load_acquire(&state.running)) != 0;) {
		int64_t left_ns = end_ns - pa_clock_mono_ns();
		if (left_ns <= 0)
			return;
		pa_futex_wait(&state.running, now, left_ns);
	}
}

void pa_trace_endpoint_reset(void)
{
	pa_store_relaxed(&state.running, 0);
	pa_store_relaxed(&state.finishing, 0);
	pa_flight_reset();
}

/* ---- names that will be wanted at the end ---- */

/* The first look-up of names takes long, because symbol tables are read. The stacks of the threads
 * at the start of the trace are looked up while it runs, so that its end is fast. */
struct early {
	size_t count;
	const struct pa_stack *stacks[];
};

static const struct pa_stack *early_stack(const void *arg, size_t i)
{
	return ((const struct early *)arg)->stacks[i];
}

static int look_up_early(void *arg, const struct pa_sink *sink)
{
	const struct early *early = arg;

	pa_look_up_stacks(early_stack, early, early->count, sink);
	pa_symbols_end_request();
	return sink->write(sink->arg, "", 0) ? 0 : -ECANCELED;
}

/* NULL: no memory, or the render queue is busy. */
static struct pa_job *begin_early(const struct pa_snapshot *threads)
{
	size_t count = threads ? threads->sample_count : 0;
	struct early *early =
		count ? malloc(sizeof(*early) + count * sizeof(early->stacks[0])) : NULL;
	const struct pa_job_work work = { .run = look_up_early, .drop = free, .arg = early };
	struct pa_job *job;

	if (!early)
		return NULL;
	early->count = count;
	for (size_t i = 0; i < count; i++)
		early->stacks[i] = threads->samples[i].stack;
	return pa_render_thread_submit(&work, 0, &job) == 0 ? job : NULL;
}

/* ---- the query ---- */

/* A request while it waits for a worker. */
struct task {
	struct pa_worker_wait wait;
	bool flight, cpu;
	int64_t ns;
};

static bool is_flag_set(const struct pa_request *request, const char *name)
{
	char value[VALUE_BYTES];

	pa_query_get(request->query, name, value, sizeof(value));
	return pa_query_atoi(value) > 0;
}

/* As Go: NaN is not less than 0, and means no time at all. */
static int64_t read_ns(const struct pa_request *request, double otherwise)
{
	char value[VALUE_BYTES];
	double seconds;

	pa_query_get(request->query, "seconds", value, sizeof(value));
	if (!pa_query_float(value, &seconds) || seconds <= 0)
		seconds = otherwise;
	if (isnan(seconds))
		return 0;
	return (int64_t)((seconds < SECONDS_MAX ? seconds : SECONDS_MAX) * PA_NS_PER_S);
}

static struct task read_trace_query(const struct pa_request *request)
{
	bool flight = is_flag_set(request, "flight");

	return (struct task){
		.flight = flight,
		.cpu = is_flag_set(request, "cpu"),
		.ns = read_ns(request, flight ? SECONDS_MAX : SECONDS),
	};
}

/* ---- writing ---- */

static bool pass_trace_bytes(void *arg, const void *bytes, size_t count)
{
	return pa_http_write(arg, bytes, count);
}

/* NULL: no memory. */
static struct answer *new_answer(struct pa_http *http)
{
	struct answer *answer = pa_map(sizeof(*answer));

	if (!answer)
		return NULL;
	answer->http = http;
	answer->sink = (struct pa_sink){ .write = pass_trace_bytes, .arg = http };
	answer->trace = pa_gotrace_new(&answer->sink);
	if (answer->trace)
		return answer;
	pa_unmap(answer, sizeof(*answer));
	return NULL;
}

static int run_tables(void *arg, const struct pa_sink *sink)
{
	return pa_gotrace_write_tables(arg, sink);
}

static void drop_trace(void *arg)
{
	pa_gotrace_free(arg);
}

/* Frees answer. !good: the client has disconnected. */
static void finish_trace(struct answer *answer, bool good, int64_t end_ns, uint64_t lost)
{
	struct pa_http *http = answer->http;
	const struct pa_job_work work = {
		.run = run_tables, .drop = drop_trace, .arg = answer->trace
	};

	good = good && pa_gotrace_finish(answer->trace, end_ns, lost) == 0;
	pa_unmap(answer, sizeof(*answer));
	if (good)
		pa_reply_rest(http, &work, PA_PROFILE_ENDPOINTS_LONG_QUEUE_NS);
	else
		drop_trace(work.arg);
}

/* ---- a trace of the time to come ---- */

static void feed_trace(struct answer *answer)
{
	size_t count;

	while ((count = pa_trace_queue_read(answer->items, ITEMS)) != 0)
		pa_gotrace_feed(answer->trace, answer->items, count);
}

/* False: the client has disconnected. */
static bool follow_trace(struct answer *answer, int64_t ns)
{
	int64_t now_ns = pa_clock_mono_ns(), end_ns = now_ns + ns;

	while (now_ns < end_ns && !pa_gotrace_is_over(answer->trace) &&
		!pa_load_acquire(&state.finishing)) {
		int64_t left_ns = end_ns - now_ns;
		if (!pa_http_wait(answer->http, left_ns < PAUSE_NS ? left_ns : PAUSE_NS))
			return false;
		feed_trace(answer);
		now_ns = pa_clock_mono_ns();
	}
	return true;
}

static void write_trace(struct answer *answer, struct pa_snapshot *threads, int64_t ns, bool cpu)
{
	/* Before the header is sent: the program's reactions to it are in the trace. */
	int64_t start_ns = pa_clock_mono_ns();
	/* Its ticks are in the trace. */
	const struct pa_profile_ops *profile;
	const unsigned rate_hz = pa_core_bridge->settings->cpu_hz;
	bool samples = cpu && pa_cpu_start_shared(rate_hz, &profile) == 0;
	bool good = pa_reply_begin(answer->http, FILE_NAME);
	struct pa_job *early = begin_early(threads);

	const struct pa_gotrace_process process = pa_trace_process();
	pa_gotrace_begin(answer->trace, &process, threads, start_ns);
	good = good && follow_trace(answer, ns);
	int64_t end_ns = pa_clock_mono_ns();
	pa_trace_queue_stop();
	if (samples)
		pa_snapshot_free(pa_cpu_stop(profile));
	if (good)
		feed_trace(answer);
	uint64_t lost = pa_trace_queue_lost();
	pa_trace_queue_end();
	if (early)
		pa_render_thread_leave(early);
	finish_trace(answer, good, end_ns, lost);
}

static const char *explain_trace_begin(int error)
{
	return error == -EBUSY ?
		"Could not enable tracing: runtime error: tracing is already enabled" :
		"Could not enable tracing: out of memory";
}

static void answer_live(struct pa_http *http, const struct task *task)
{
	struct pa_snapshot *threads;
	int error = pa_trace_queue_begin(&threads);

	if (error) {
		pa_reply_error(http, 500, explain_trace_begin(error));
		return;
	}
	struct answer *answer = new_answer(http);
	pa_add_acq_rel(&state.running, 1);
	if (answer) {
		write_trace(answer, threads, task->ns, task->cpu);
	} else {
		pa_trace_queue_stop();
		pa_trace_queue_end();
		pa_reply_error(http, 500, explain_trace_begin(-ENOMEM));
	}
	pa_snapshot_free(threads);
	pa_add_acq_rel(&state.running, -1u);
	pa_futex_wake(&state.running, INT32_MAX);
}

/* ---- the flight recorder ---- */

static void refuse_flight(struct pa_http *http, int error)
{
	if (error == -EBUSY)
		pa_reply_error(http, 503,
			"another answer of the flight recorder is being sent, "
			"and there is one at a time; try again");
	else if (error == -ENODATA)
		pa_reply_error(http, 500, "there was no memory for the flight recorder");
	else
		pa_reply_error(http, 503,
			"there is no memory for an answer of the flight "
			"recorder; try again");
}

static void answer_flight(struct pa_http *http, const struct task *task)
{
	const struct pa_sink sink = { .write = pass_trace_bytes, .arg = http };
	struct pa_flight *flight;

	if (!pa_core_bridge->settings->flight_bytes) {
		pa_reply_error(http, 400,
			"the flight recorder is off: PPROFAGENT_FLIGHT sets the "
			"memory that it gets");
		return;
	}
	int error = pa_flight_begin(task->ns, &flight);
	if (error) {
		refuse_flight(http, error);
		return;
	}
	const struct pa_job_work work = {
		.run = pa_flight_rest, .drop = pa_flight_drop, .arg = flight
	};
	if (pa_reply_begin(http, FILE_NAME) && pa_flight_write(flight, &sink) == 0)
		pa_reply_rest(http, &work, PA_PROFILE_ENDPOINTS_LONG_QUEUE_NS);
	else
		pa_flight_drop(flight);
}

/* ---- the request ---- */

static void answer_trace(struct pa_http *http, struct pa_worker_wait *wait)
{
	struct task *task = (struct task *)wait;

	if (pa_reply_has_room(http)) {
		if (task->flight)
			answer_flight(http, task);
		else
			answer_live(http, task);
	}
	free(task);
}

static const char *trace_refusal(const struct pa_worker_wait *wait)
{
	const struct task *task = (const struct task *)wait;

	return !task->flight && pa_trace_queue_is_taken() ? explain_trace_begin(-EBUSY) : NULL;
}

void pa_trace_endpoint_answer(struct pa_http *http, const struct pa_request *request)
{
	if (request->method == PA_REQUEST_METHOD_HEAD) {
		pa_reply_no_work(http, FILE_NAME);
		return;
	}
	struct task given = read_trace_query(request);
	given.wait = (struct pa_worker_wait){
		.go = answer_trace,
		.drop = free,
		.refusal = trace_refusal,
		.until_ns = pa_queue_clock_ns() + PA_PROFILE_ENDPOINTS_QUEUE_NS,
	};
	struct task *task = pa_worker_wait_new(http, &given, sizeof(given));
	if (task)
		pa_worker_wait_begin(http, &task->wait);
}

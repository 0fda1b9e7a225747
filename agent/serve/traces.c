#include "traces.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "../../proto/trace.h"
#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "../profile/core.h"
#include "../profile/symbols.h"
#include "profiles.h"
#include "query.h"
#include "reply.h"

#define SECONDS 1.0
#define SECONDS_MAX 1e9
#define VALUE_BYTES 64
#define FILE_NAME "trace"

/* How long events wait in the queue, and how many are moved at once. Not long: a program that ends
 * waits for the trace to be ended. */
#define PAUSE_NS (4 * PA_NS_PER_MS)
#define ITEMS 4096

static struct {
	PA_ATOMIC(uint32_t) running; /* traces being taken; acq_rel, futex of hurry */
	PA_ATOMIC(uint32_t) hurry;   /* the program ends; release in hurry */
} state;

/* One answer. */
struct answer {
	struct pa_http *http;
	struct pa_trace *trace;
	struct pa_sink sink;
	struct pa_tracer_item items[ITEMS];
};

void pa_traces_hurry(int64_t timeout_ns)
{
	int64_t end_ns = pa_clock_mono_ns() + timeout_ns;
	pa_store_release(&state.hurry, 1);
	/* Ends: at end_ns. */
	for (uint32_t now; (now = pa_load_acquire(&state.running)) != 0;) {
		int64_t left_ns = end_ns - pa_clock_mono_ns();
		if (left_ns <= 0)
			return;
		pa_futex_wait(&state.running, now, left_ns);
	}
}

void pa_traces_reset(void)
{
	pa_store_relaxed(&state.running, 0);
	pa_store_relaxed(&state.hurry, 0);
}

/* ---- names that will be wanted at the end ---- */

/*
 * Looking up names takes long at first: tables of symbols are read. What the threads stand in when
 * the trace begins is looked up while it runs, so that the end comes soon.
 */
struct early {
	size_t count;
	const struct pa_stack *stacks[];
};

static int look_up(void *arg, const struct pa_sink *sink)
{
	const struct early *early = arg;
	struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];

	for (size_t i = 0; i < early->count; i++) {
		if (!sink->write(sink->arg, "", 0))
			return -ECANCELED;
		for (uint32_t at = 0; at < early->stacks[i]->depth; at++)
			pa_symbols_lookup(pa_sites_loc(early->stacks[i]->locs[at]), frames,
				PA_SYMBOLS_INLINE_MAX);
	}
	pa_symbols_rest();
	return 0;
}

/* NULL: not now. */
static struct pa_job *begin_early(const struct pa_snapshot *threads)
{
	size_t count = threads ? threads->sample_count : 0;
	struct early *early = count
		? malloc(sizeof(*early) + count * sizeof(early->stacks[0])) : NULL;
	const struct pa_job_work work = { .run = look_up, .drop = free, .arg = early };
	struct pa_job *job;

	if (!early)
		return NULL;
	early->count = count;
	for (size_t i = 0; i < count; i++)
		early->stacks[i] = threads->samples[i].stack;
	return pa_collect_submit(&work, 0, &job) == 0 ? job : NULL;
}

/* ---- the query ---- */

static bool is_wanted(const struct pa_request *request, const char *name)
{
	char value[VALUE_BYTES];

	pa_query_get(request->query, name, value, sizeof(value));
	return pa_query_atoi(value) > 0;
}

/* As Go does it: NaN is not less than 0, and no time at all. */
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

/* ---- writing ---- */

static bool pass(void *arg, const void *bytes, size_t count)
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
	answer->sink = (struct pa_sink){ .write = pass, .arg = http };
	answer->trace = pa_trace_new(&answer->sink);
	if (answer->trace)
		return answer;
	pa_unmap(answer, sizeof(*answer));
	return NULL;
}

static bool send_head(struct pa_http *http)
{
	const struct pa_http_head head = {
		.status = 200,
		.type = PA_REPLY_BINARY,
		.disposition = "attachment; filename=\"" FILE_NAME "\"",
		.length = -1,
	};

	return pa_http_begin(http, &head);
}

static int run_tables(void *arg, const struct pa_sink *sink)
{
	return pa_trace_tables(arg, sink);
}

static void drop_trace(void *arg)
{
	pa_trace_free(arg);
}

/* Takes the answer with it. Without good nobody reads any more. */
static void finish(struct answer *answer, bool good, int64_t end_ns, uint64_t lost)
{
	struct pa_http *http = answer->http;
	const struct pa_job_work work = { run_tables, drop_trace, answer->trace };

	good = good && pa_trace_finish(answer->trace, end_ns, lost) == 0;
	pa_unmap(answer, sizeof(*answer));
	if (good)
		pa_reply_rest(http, &work, PA_PROFILES_TURN_NS);
	else
		drop_trace(work.arg);
}

/* ---- a trace of the time to come ---- */

static void feed(struct answer *answer)
{
	size_t count;

	while ((count = pa_tracer_read(answer->items, ITEMS)) != 0)
		pa_trace_feed(answer->trace, answer->items, count);
}

/* False: the client left. */
static bool follow(struct answer *answer, int64_t ns)
{
	int64_t now_ns = pa_clock_mono_ns(), end_ns = now_ns + ns;

	while (now_ns < end_ns && !pa_trace_is_over(answer->trace) &&
		!pa_load_acquire(&state.hurry)) {
		int64_t left_ns = end_ns - now_ns;
		if (!pa_http_wait(answer->http, left_ns < PAUSE_NS ? left_ns : PAUSE_NS))
			return false;
		feed(answer);
		now_ns = pa_clock_mono_ns();
	}
	return true;
}

static void write_trace(struct answer *answer, struct pa_snapshot *threads, int64_t ns, bool cpu)
{
	/* Before the client knows: what the program does then for its sake is in the trace. */
	int64_t start_ns = pa_clock_mono_ns();
	bool samples = cpu && pa_snapshot_cpu_start(pa_core_bridge->settings->cpu_hz) == 0;
	bool good = send_head(answer->http);
	struct pa_job *early = begin_early(threads);

	pa_trace_begin(answer->trace, threads, start_ns);
	good = good && follow(answer, ns);
	int64_t end_ns = pa_clock_mono_ns();
	pa_tracer_stop();
	if (samples)
		pa_snapshot_free(pa_snapshot_cpu_stop());
	if (good)
		feed(answer);
	uint64_t lost = pa_tracer_lost();
	pa_tracer_end();
	if (early)
		pa_collect_leave(early);
	finish(answer, good, end_ns, lost);
}

static void answer_live(struct pa_http *http, const struct pa_request *request)
{
	struct pa_snapshot *threads;
	int error = pa_tracer_begin(&threads);

	if (error) {
		pa_reply_error(http, 500, error == -EBUSY
			? "Could not enable tracing: runtime error: tracing is already enabled"
			: "Could not enable tracing: out of memory");
		return;
	}
	struct answer *answer = new_answer(http);
	pa_add_acq_rel(&state.running, 1);
	if (answer) {
		write_trace(answer, threads, read_ns(request, SECONDS), is_wanted(request, "cpu"));
	} else {
		pa_tracer_stop();
		pa_tracer_end();
		pa_reply_error(http, 500, "Could not enable tracing: out of memory");
	}
	pa_snapshot_free(threads);
	pa_add_acq_rel(&state.running, -1u);
	pa_futex_wake(&state.running, INT32_MAX);
}

/* ---- the flight recorder ---- */

/* The first of count items that is not older. */
static size_t skip_older(const struct pa_tracer_item *items, size_t count, int64_t since_ns)
{
	size_t at = 0;

	while (at < count && items[at].time_ns < since_ns)
		at += 1 + pa_tracer_text_items(&items[at]);
	return at;
}

static void write_flight(struct answer *answer, const struct pa_tracer_item *items, size_t count,
	int64_t ns)
{
	int64_t now_ns = pa_clock_mono_ns();
	size_t at = skip_older(items, count, now_ns - ns);
	bool good = send_head(answer->http);

	pa_trace_begin(answer->trace, NULL, at < count ? items[at].time_ns : now_ns);
	pa_trace_feed(answer->trace, items + at, count - at);
	finish(answer, good, now_ns, 0);
}

static void answer_flight(struct pa_http *http, const struct pa_request *request)
{
	size_t count, bytes;

	if (!pa_core_bridge->settings->flight_bytes) {
		pa_reply_error(http, 400, "the flight recorder is off: PPROFAGENT_FLIGHT sets the "
					  "memory that it gets");
		return;
	}
	struct pa_tracer_item *items = pa_tracer_flight_copy(&count, &bytes);
	struct answer *answer = items ? new_answer(http) : NULL;
	if (answer)
		write_flight(answer, items, count, read_ns(request, SECONDS_MAX));
	else
		pa_reply_error(http, 500, "out of memory");
	if (items)
		pa_unmap(items, bytes);
}

void pa_traces_answer(struct pa_http *http, const struct pa_request *request)
{
	if (!pa_http_claim(http))
		pa_reply_crowded(http);
	else if (request->method == PA_REQUEST_HEAD)
		pa_reply_no_work(http, FILE_NAME);
	else if (is_wanted(request, "flight"))
		answer_flight(http, request);
	else
		answer_live(http, request);
}

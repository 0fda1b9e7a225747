/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/trace_endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "proto/gotrace.h"

#include "test/lib/c/fake_http.h"
#include "test/lib/c/fake_profiles.h"
#include "test/lib/c/trace_reader.h"

static struct pa_http http;
static struct trace trace;

/* Waiting takes no time, and a look at the clock 1 us: a busy machine changes nothing. */
#define LOOK_NS ((int64_t)1000)
static PA_ATOMIC(int64_t) waited_ns = 1000 * PA_NS_PER_S;

int64_t pa_clock_mono_ns(void)
{
	return pa_add_relaxed(&waited_ns, LOOK_NS) + LOOK_NS;
}

int64_t pa_clock_wall_ns(void)
{
	return PA_NS_PER_S;
}

static int waits;

static void pass_time(void)
{
	pa_add_relaxed(&waited_ns, http.waited_ns);
	waits++;
}

static int set_up(void **unused)
{
	(void)unused;
	fake_reset();
	fake.tracing = fake.trace_error = 0;
	fake.trace_items = NULL;
	fake.trace_count = fake.trace_lost = 0;
	fake.settings.flight_bytes = 0;
	http = http_new();
	http.on_wait = pass_time;
	waits = 0;
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	/* What a client left may be under way still. */
	fake_settle();
	assert_int_equal(fake.tracing, 0);
	assert_int_equal(fake.cpu_running, 0);
	trace_free(&trace);
	http_free(&http);
	return 0;
}

static void ask(const char *query)
{
	const struct pa_request request = {
		.method = http.head_only ? PA_REQUEST_METHOD_HEAD : PA_REQUEST_METHOD_GET,
		.path = "/debug/pprof/trace",
		.query = query,
	};

	pa_trace_endpoint_answer(&http, &request);
	assert_true(http.begun);
	assert_true(http.claimed || http.crowded || http.head_only || fake.trace_error);
}

static void is_error(int status, const char *body)
{
	assert_true(http.ended);
	assert_int_equal(http.head.status, status);
	assert_string_equal(http.head.type, "text/plain; charset=utf-8");
	assert_string_equal(http.disposition, "");
	assert_true(http.head.pprof_error);
	assert_string_equal(http.bytes, body);
}

static void assert_head(void)
{
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.head.type, "application/octet-stream");
	assert_string_equal(http.disposition, "attachment; filename=\"trace\"");
	assert_false(http.head.pprof_error);
}

static void is_trace(void)
{
	assert_true(http.ended);
	assert_head();
	assert_int_equal(http.head.length, -1);
	if (!trace_read(&trace, http.bytes, http.count))
		fail_msg("%s", trace.error);
}

/* From the first event to the last, in ms. */
static uint64_t length_ms(void)
{
	return (trace.events[trace.event_count - 1].ts - trace.events[0].ts) / PA_NS_PER_MS;
}

static struct pa_trace_queue_item item_of(enum pa_trace_events_op op, int32_t tid, int64_t ago_ms)
{
	return (struct pa_trace_queue_item){
		.op = (uint8_t)op, .tid = tid, .time_ns = pa_clock_mono_ns() - ago_ms * PA_NS_PER_MS
	};
}

static bool has_goroutine(uint64_t id)
{
	return trace_find_goroutine(&trace, id) != NULL;
}

/* ---- the time to come ---- */

static void program_that_ends_ends_the_trace(void **unused)
{
	struct pa_trace_queue_item items[] = {
		item_of(PA_TRACE_EVENTS_START, 7, -1),
	};

	(void)unused;
	fake.trace_items = items;
	fake.trace_count = PA_COUNT(items);
	pa_trace_endpoint_finish(0);
	ask("seconds=600");
	pa_trace_endpoint_reset();
	is_trace();
	assert_string_equal(trace_life(&trace, 7), "GoCreate GoStart GoPreempt");
	/* No trace is taken: nothing to wait for. */
	pa_trace_endpoint_finish(INT64_MAX / 2);
	pa_trace_endpoint_reset();
}

static void answer_is_a_trace_of_what_is_recorded_meanwhile(void **unused)
{
	struct pa_trace_queue_item items[] = {
		item_of(PA_TRACE_EVENTS_START, 7, -10),
		item_of(PA_TRACE_EVENTS_BLOCK, 7, -20),
		item_of(PA_TRACE_EVENTS_START, 8, -30),
	};

	(void)unused;
	fake.trace_items = items;
	fake.trace_count = PA_COUNT(items);
	ask("seconds=0.2");
	is_trace();
	assert_string_equal(trace_life(&trace, 7), "GoCreate GoStart GoBlockSync");
	assert_string_equal(trace_life(&trace, 8), "GoCreate GoStart GoPreempt");
	assert_in_range(length_ms(), 200, 5000);
	assert_int_equal(fake.cpu_rate_hz, 0);
	assert_int_equal(fake.rests, 1);
	assert_true(waits >= 10);
}

static struct pa_trace_queue_item created_and_started[2];

static void create_and_start(void)
{
	created_and_started[0] = item_of(PA_TRACE_EVENTS_CREATE, 7, 0);
	created_and_started[1] = item_of(PA_TRACE_EVENTS_START, 8, 0);
	created_and_started[0].link = created_and_started[1].link = 1;
}

/* Its thread does not come out of nowhere. */
static void what_happens_once_the_client_knows_is_in_the_trace(void **unused)
{
	bool created = false;

	(void)unused;
	fake.trace_items = created_and_started;
	fake.trace_count = PA_COUNT(created_and_started);
	http.on_begin = create_and_start;
	ask("seconds=0.2");
	is_trace();
	for (size_t i = 0; i < trace.event_count; i++)
		created |= trace.events[i].type == TRACE_GO_CREATE && trace.events[i].by == 7;
	assert_true(created);
}

/* As Go's handler reads it: a float, and one second for what is not above 0 or no number. */
static void seconds_are_read_as_go_does(void **unused)
{
	static const struct {
		const char *query;
		uint64_t ms;
	} cases[] = {
		{ "", 1000 },
		{ "seconds=", 1000 },
		{ "seconds=0", 1000 },
		{ "seconds=-3", 1000 },
		{ "seconds=x", 1000 },
		{ "seconds=5s", 1000 },
		{ "seconds=1e999", 1000 },
		{ "seconds=0e999", 1000 },
		{ "seconds=%2Bnan", 1000 },
		{ "seconds=-inf", 1000 },
		{ "seconds=0.25", 250 },
		{ "seconds=25e-2", 250 },
		{ "seconds=2", 2000 },
		{ "seconds=nan", 0 },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(cases); i++) {
		ask(cases[i].query);
		is_trace();
		if (length_ms() < cases[i].ms || length_ms() > cases[i].ms + 100)
			fail_msg("'%s': %lu ms", cases[i].query, length_ms());
		tear_down(NULL);
		set_up(NULL);
	}
}

static void cpu_samples_are_taken_when_asked_for(void **unused)
{
	(void)unused;
	fake.cpu_rate_hz = 0;
	ask("seconds=0.1&cpu=1");
	is_trace();
	assert_int_equal(fake.cpu_rate_hz, 123);
	assert_int_equal(fake.taken, 1);
}

/* Ticks of the other profiles are in the trace. */
static void trace_beside_too_many_cpu_profiles_takes_none(void **unused)
{
	(void)unused;
	fake.cpu_shared_error = -EAGAIN;
	ask("seconds=0.1&cpu=1");
	is_trace();
	assert_int_equal(fake.taken, 0);
}

static void lost_events_are_in_the_trace(void **unused)
{
	(void)unused;
	fake.trace_lost = 17;
	ask("seconds=0.1");
	is_trace();
	const struct trace_event *log = trace_event_of(&trace, 0, TRACE_LOG, 0);
	assert_non_null(log);
	assert_int_equal(strncmp(trace.text + log->text, "17 events are missing", 21), 0);
}

static void second_trace_is_refused_with_gos_words(void **unused)
{
	(void)unused;
	fake.trace_error = -EBUSY;
	ask("seconds=5");
	is_error(500, "Could not enable tracing: runtime error: tracing is already enabled\n");
	assert_int_equal(waits, 0);
	/* The first may go on for a year: no place is taken meanwhile. */
	assert_false(http.claimed);
	assert_int_equal(http.suspended, 0);
}

static void trace_without_memory_is_refused(void **unused)
{
	(void)unused;
	fake.trace_error = -ENOMEM;
	ask("");
	is_error(500, "Could not enable tracing: out of memory\n");
}

static void crowd_is_turned_away(void **unused)
{
	(void)unused;
	http.crowded = http.suspend_full = true;
	ask("");
	assert_true(http.ended);
	assert_int_equal(http.head.status, 503);
}

static void crowd_that_stays_is_waited_for_10_s(void **unused)
{
	int64_t before_ns = pa_clock_mono_ns();

	(void)unused;
	http.crowded = true;
	ask("");
	assert_true(http.ended);
	assert_int_equal(http.head.status, 503);
	assert_in_range(pa_clock_mono_ns() - before_ns, 10 * PA_NS_PER_S, 11 * PA_NS_PER_S);
	assert_int_equal(fake.tracing, 0);
}

static void end_crowd(void)
{
	http.crowded = http.suspended < 3;
	pass_time();
}

static void in_a_crowd_it_waits_until_a_worker_may_be_kept(void **unused)
{
	(void)unused;
	http.crowded = true;
	http.on_wait = end_crowd;
	ask("seconds=0.1");
	is_trace();
	assert_int_equal(http.suspended, 3);
	assert_in_range(length_ms(), 100, 200);
}

static void one_that_leaves_while_it_waits_takes_no_trace(void **unused)
{
	(void)unused;
	http.crowded = http.client_left = true;
	ask("");
	is_error(500, "context canceled\n");
	assert_int_equal(http.suspended, 1);
}

static void head_is_answered_without_a_trace(void **unused)
{
	(void)unused;
	http.head_only = true;
	fake.trace_error = -EBUSY;
	ask("seconds=30");
	assert_true(http.ended);
	assert_head();
	assert_int_equal(http.count, 0);
	assert_int_equal(waits, 0);
}

static void client_that_leaves_ends_the_trace(void **unused)
{
	(void)unused;
	http.client_left = true;
	ask("seconds=30&cpu=1");
	assert_false(http.ended);
	assert_head();
	assert_int_equal(waits, 1);
	assert_int_equal(fake.tracing, 0);
	assert_int_equal(fake.cpu_running, 0);
}

static void client_that_stops_reading_ends_the_trace(void **unused)
{
	static struct pa_trace_queue_item items[40000];

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(items); i++)
		items[i] = item_of(PA_TRACE_EVENTS_TICK, 7, -(int64_t)(i % 100));
	fake.trace_items = items;
	fake.trace_count = PA_COUNT(items);
	http.accept_writes = 2;
	ask("seconds=30");
	assert_false(http.ended);
	assert_true(waits < 100);
	assert_int_equal(http.writes, 3);
}

/* ---- the flight recorder ---- */

static void flight_recorder_that_is_off_is_a_bad_request(void **unused)
{
	(void)unused;
	ask("flight=1");
	is_error(400,
		"the flight recorder is off: PPROFAGENT_FLIGHT sets the memory that it "
		"gets\n");
}

static struct pa_trace_queue_item flight_items[5];

/* One event of each of four threads from FAKE_TID on, a second apart, up to now; one has a text. */
static void fly(void)
{
	for (int32_t i = 0; i < 4; i++)
		flight_items[i] =
			item_of(PA_TRACE_EVENTS_WOKE, FAKE_TID + i, 4000 - 1000 * i - 500);
	flight_items[4] = flight_items[3];
	memset(&flight_items[3], 'x', sizeof(flight_items[3]));
	flight_items[2].text_bytes = 4;
	fake.trace_items = flight_items;
	fake.trace_count = PA_COUNT(flight_items);
	fake.settings.flight_bytes = 1 << 16;
}

static void flight_is_answered_at_once_with_all_there_is(void **unused)
{
	(void)unused;
	fly();
	fake.trace_error = -EBUSY;
	ask("flight=1");
	is_trace();
	assert_int_equal(waits, 0);
	for (uint64_t g = FAKE_TID; g < FAKE_TID + 4; g++)
		assert_true(has_goroutine(g));
	assert_in_range(length_ms(), 3500, 4500);
}

static void flight_of_some_seconds_has_only_these(void **unused)
{
	(void)unused;
	fly();
	ask("flight=1&seconds=2");
	is_trace();
	assert_false(has_goroutine(FAKE_TID));
	assert_false(has_goroutine(FAKE_TID + 1));
	assert_true(has_goroutine(FAKE_TID + 2));
	assert_true(has_goroutine(FAKE_TID + 3));
	assert_in_range(length_ms(), 1500, 2500);
}

static void flight_of_nothing_is_a_trace(void **unused)
{
	(void)unused;
	fly();
	fake.trace_count = 0;
	ask("flight=1");
	is_trace();
	assert_int_equal(trace.goroutine_count, 1);
}

static void flight_0_is_no_flight(void **unused)
{
	(void)unused;
	ask("flight=0&seconds=0.1");
	is_trace();
	assert_true(waits > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(program_that_ends_ends_the_trace),
		TEST(answer_is_a_trace_of_what_is_recorded_meanwhile),
		TEST(what_happens_once_the_client_knows_is_in_the_trace),
		TEST(seconds_are_read_as_go_does),
		TEST(cpu_samples_are_taken_when_asked_for),
		TEST(trace_beside_too_many_cpu_profiles_takes_none),
		TEST(lost_events_are_in_the_trace),
		TEST(second_trace_is_refused_with_gos_words),
		TEST(trace_without_memory_is_refused),
		TEST(crowd_is_turned_away),
		TEST(crowd_that_stays_is_waited_for_10_s),
		TEST(in_a_crowd_it_waits_until_a_worker_may_be_kept),
		TEST(one_that_leaves_while_it_waits_takes_no_trace),
		TEST(head_is_answered_without_a_trace),
		TEST(client_that_leaves_ends_the_trace),
		TEST(client_that_stops_reading_ends_the_trace),
		TEST(flight_recorder_that_is_off_is_a_bad_request),
		TEST(flight_is_answered_at_once_with_all_there_is),
		TEST(flight_of_some_seconds_has_only_these),
		TEST(flight_of_nothing_is_a_trace),
		TEST(flight_0_is_no_flight),
	};
	return cmocka_run_group_tests(tests, fake_start, NULL);
}

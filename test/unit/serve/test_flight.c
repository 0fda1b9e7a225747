/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the flight recorder: one at a time, in pieces, within the budget. */
#include "agent/serve/flight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/serve/client_budget.h"
#include "agent/serve/flight_lease.h"
#include "agent/serve/trace_endpoint.h"

#include "test/lib/c/fake_http.h"
#include "test/lib/c/fake_profiles.h"
#include "test/lib/c/trace_reader.h"

#define ALL "flight=1"
#define EVENTS 20000

/* More than an answer with few threads takes. */
#define FIXED_BYTES ((size_t)3 << 20)

static PA_ATOMIC(int64_t) now_ns = 1000 * PA_NS_PER_S;

int64_t pa_clock_mono_ns(void)
{
	return pa_load_acquire(&now_ns);
}

int64_t pa_clock_wall_ns(void)
{
	return PA_NS_PER_S;
}

static struct pa_http http, other;
static struct trace trace;
static struct pa_trace_queue_item items[EVENTS];

static size_t used(void)
{
	return pa_client_budget_stats().used[PA_CLIENT_BUDGET_FLIGHT];
}

static int set_up(void **unused)
{
	(void)unused;
	fake_reset();
	fake.settings.flight_bytes = 1 << 16;
	fake.trace_count = 0;
	fake.flight_lost = fake.flight_piece = 0;
	fake.flight_fails = false;
	fake.on_flight_read = NULL;
	http = http_new();
	other = http_new();
	return 0;
}

/* Whatever became of it: nothing is kept, and another may come. */
static int tear_down(void **unused)
{
	(void)unused;
	fake_settle();
	pa_client_budget_forget(PA_CLIENT_BUDGET_WAITING);
	assert_int_equal(used(), 0);
	assert_true(pa_flight_lease_acquire(0));
	pa_flight_lease_release();
	trace_free(&trace);
	http_free(&http);
	http_free(&other);
	return 0;
}

/* Events of threads FAKE_TID, FAKE_TID + 1 ... modulo threads, 1 ms apart, the last of them now. */
static void fly(size_t count, int32_t threads)
{
	for (size_t i = 0; i < count; i++)
		items[i] = (struct pa_trace_queue_item){
			.op = PA_TRACE_EVENTS_WOKE,
			.tid = FAKE_TID + (int32_t)i % threads,
			.time_ns = now_ns - (int64_t)(count - 1 - i) * PA_NS_PER_MS,
		};
	fake.trace_items = items;
	fake.trace_count = count;
}

static void ask(struct pa_http *to, const char *query)
{
	const struct pa_request request = {
		.method = PA_REQUEST_METHOD_GET, .path = "/debug/pprof/trace", .query = query
	};

	pa_trace_endpoint_answer(to, &request);
}

static void is_trace(void)
{
	assert_true(http.ended);
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.disposition, "attachment; filename=\"trace\"");
	if (!trace_read(&trace, http.bytes, http.count))
		fail_msg("%s", trace.error);
}

/* And the one that a trace without a snapshot begins with. */
static void has_threads(size_t count)
{
	assert_int_equal(trace.goroutine_count, count + 1);
}

static uint64_t missing(void)
{
	const struct trace_event *log = trace_event_of(&trace, 0, TRACE_LOG, 0);
	return log ? strtoull(trace.text + log->text, NULL, 10) : 0;
}

/* ---- one at a time ---- */

static void ask_other(void)
{
	ask(&other, ALL);
}

static void second_one_is_refused_while_the_first_is_sent(void **unused)
{
	(void)unused;
	fly(10, 10);
	http.on_begin = ask_other;
	ask(&http, ALL);
	is_trace();
	assert_true(other.ended);
	assert_int_equal(other.head.status, 503);
	assert_non_null(strstr(other.bytes, "one at a time"));
	has_threads(10);
}

static void ask_other_and_take_long(void)
{
	ask_other();
	pa_add_acq_rel(&now_ns, PA_FLIGHT_LEASE_MAX_NS);
}

static void slow_one_that_is_wanted_is_broken_off(void **unused)
{
	(void)unused;
	fly(EVENTS, 10);
	http.on_begin = ask_other_and_take_long;
	ask(&http, ALL);
	assert_int_equal(other.head.status, 503);
	assert_false(http.ended);
	assert_int_equal(http.count, 0);
}

static void take_long(void)
{
	pa_add_acq_rel(&now_ns, 100 * PA_FLIGHT_LEASE_MAX_NS);
}

static void slow_one_that_is_not_wanted_is_sent(void **unused)
{
	(void)unused;
	fly(EVENTS, 10);
	http.on_begin = take_long;
	ask(&http, ALL);
	is_trace();
}

static void client_that_leaves_ends_it(void **unused)
{
	(void)unused;
	fly(EVENTS, 10);
	http.accept_writes = 1;
	ask(&http, ALL);
	assert_false(http.ended);
	assert_int_equal(http.writes, 2);
}

static void client_that_leaves_before_the_names_ends_it(void **unused)
{
	(void)unused;
	fly(10, 10);
	http.client_left = true; /* shown when the job's turn is waited for, at the latest */
	http.accept_writes = 1;
	ask(&http, ALL);
	assert_false(http.ended);
}

static bool free_at_end;

static void ask_at_end(void)
{
	free_at_end = pa_flight_lease_acquire(0);
	pa_flight_lease_release();
}

static void next_one_is_answered_once_the_client_has_the_end(void **unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		fly(10, 10);
		http.on_end = ask_at_end;
		free_at_end = false;
		ask(&http, ALL);
		assert_true(free_at_end);
		tear_down(NULL);
		set_up(NULL);
	}
}

static void reset_takes_the_turn_and_the_bytes_back(void **unused)
{
	(void)unused;
	assert_true(pa_flight_lease_acquire(0));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_FLIGHT, 5 * PA_PAGE_BYTES));
	pa_flight_reset();
}

/* ---- pieces ---- */

static void all_pieces_are_in_the_trace(void **unused)
{
	(void)unused;
	fly(5000, 50);
	fake.flight_piece = 7;
	ask(&http, ALL);
	is_trace();
	has_threads(50);
	assert_int_equal(trace.events[trace.event_count - 1].ts / PA_NS_PER_MS, 4999);
	assert_int_equal(missing(), 0);
}

static void what_was_overwritten_is_told(void **unused)
{
	(void)unused;
	fly(10, 10);
	fake.flight_lost = 17;
	ask(&http, ALL);
	is_trace();
	assert_int_equal(missing(), 17);
}

/* Only threads FAKE_TID + 4 to FAKE_TID + 9 are of that time. */
static void what_was_overwritten_before_is_not(void **unused)
{
	(void)unused;
	fly(10, 10);
	fake.flight_lost = 17;
	fake.flight_piece = 3;
	ask(&http, "flight=1&seconds=0.005");
	is_trace();
	has_threads(6);
	assert_null(trace_find_goroutine(&trace, FAKE_TID + 3));
	assert_non_null(trace_find_goroutine(&trace, FAKE_TID + 4));
	assert_int_equal(missing(), 0);
}

static void recorder_without_memory_is_an_error(void **unused)
{
	(void)unused;
	fake.flight_fails = true;
	ask(&http, ALL);
	assert_int_equal(http.head.status, 500);
}

/* ---- memory ---- */

static size_t most, mapped_before;

static void look_at_budget(void)
{
	if (used() > most)
		most = used();
	assert_true(pa_map_bytes() <= mapped_before + used());
}

static void memory_does_not_grow_with_the_events(void **unused)
{
	(void)unused;
	fly(EVENTS, 10);
	most = 0;
	mapped_before = pa_map_bytes();
	fake.on_flight_read = look_at_budget;
	ask(&http, ALL);
	is_trace();
	fake_settle();
	/* A page may be that of a job. */
	assert_true(pa_map_bytes() <= mapped_before + PA_PAGE_BYTES);
	assert_in_range(most, sizeof(struct pa_trace_queue_item) * 2048, FIXED_BYTES);
}

static void leave_room(size_t bytes)
{
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING,
		PA_CLIENT_BUDGET_KEPT_BYTES - bytes));
}

static void without_room_it_is_refused(void **unused)
{
	static const size_t rooms[] = { 0, (size_t)512 << 10 };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(rooms); i++) {
		leave_room(rooms[i]);
		ask(&http, ALL);
		assert_true(http.ended);
		assert_int_equal(http.head.status, 503);
		tear_down(NULL);
		set_up(NULL);
	}
}

/* Each event is of another thread. */
static void where_the_room_ends_the_trace_does_and_says_so(void **unused)
{
	(void)unused;
	fly(EVENTS, EVENTS);
	fake.flight_piece = 1000;
	most = 0;
	mapped_before = pa_map_bytes();
	fake.on_flight_read = look_at_budget;
	leave_room(FIXED_BYTES + ((size_t)1 << 20));
	ask(&http, ALL);
	is_trace();
	assert_in_range(missing(), 1000, EVENTS - 1000);
	has_threads(EVENTS - missing());
	assert_in_range(most, FIXED_BYTES, FIXED_BYTES + ((size_t)1 << 20));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(second_one_is_refused_while_the_first_is_sent),
		TEST(slow_one_that_is_wanted_is_broken_off),
		TEST(slow_one_that_is_not_wanted_is_sent),
		TEST(client_that_leaves_ends_it),
		TEST(client_that_leaves_before_the_names_ends_it),
		TEST(next_one_is_answered_once_the_client_has_the_end),
		TEST(reset_takes_the_turn_and_the_bytes_back),
		TEST(all_pieces_are_in_the_trace),
		TEST(what_was_overwritten_is_told),
		TEST(what_was_overwritten_before_is_not),
		TEST(recorder_without_memory_is_an_error),
		TEST(memory_does_not_grow_with_the_events),
		TEST(without_room_it_is_refused),
		TEST(where_the_room_ends_the_trace_does_and_says_so),
	};
	return cmocka_run_group_tests(tests, fake_start, NULL);
}

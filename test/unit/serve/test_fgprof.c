/* SPDX-License-Identifier: Apache-2.0 */
/* The wall-clock profile over HTTP, on a clock that only waiting moves. */
#include "agent/serve/fgprof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/profile/wall.h"
#include "test/lib/c/fake_http.h"
#include "test/lib/c/fake_profiles.h"

static PA_ATOMIC(int64_t) now_ns;

int64_t pa_clock_mono_ns(void)
{
	return pa_load_acquire(&now_ns);
}

int64_t pa_clock_wall_ns(void)
{
	return pa_load_acquire(&now_ns);
}

int64_t pa_clock_thread_cpu_ns(void)
{
	return 0;
}

static struct pa_http http;
static int waits, leave_after;
static int64_t waited_ns;

static void pass_time(void)
{
	waits++;
	waited_ns += http.waited_ns;
	pa_add_acq_rel(&now_ns, http.waited_ns);
	http.client_left = waits == leave_after;
}

static int set_up(void **unused)
{
	(void)unused;
	fake_reset();
	http = http_new();
	http.on_wait = pass_time;
	waits = leave_after = 0;
	waited_ns = 0;
	return 0;
}

/* Whatever became of it: another one may begin. */
static int tear_down(void **unused)
{
	(void)unused;
	assert_int_equal(pa_wall_begin(), 0);
	assert_null(pa_wall_end());
	http_free(&http);
	return 0;
}

static void ask(const char *query)
{
	const struct pa_request request = { .query = query,
		.path = "",
		.method = http.head_only ? PA_REQUEST_METHOD_HEAD : PA_REQUEST_METHOD_GET };
	http.begun = http.ended = false;
	http.count = 0;
	pa_fgprof_answer(&http, &request);
	assert_true(http.ended);
}

static void is_error(int status, const char *body)
{
	assert_int_equal(http.head.status, status);
	assert_true(http.head.pprof_error);
	assert_string_equal(http.bytes, body);
}

static void the_dump_is_called_at_99_hertz_and_at_the_end(void **unused)
{
	(void)unused;
	ask("seconds=2");
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.head.type, "application/octet-stream");
	assert_string_equal(http.disposition, "attachment; filename=\"fgprof\"");
	assert_int_equal(waited_ns, 2 * PA_NS_PER_S);
	assert_in_range(fake.dumps, 198, 199);
	assert_int_equal(fake.dumps, waits);
	assert_int_equal(fake.details, 0);
	char body[64];
	snprintf(body, sizeof(body), "proto fgprof %d duration 2000000000\n", fake.dumps);
	assert_string_equal(http.bytes, body);
	assert_int_equal(fake.seen[1], 2 * PA_NS_PER_S);
	assert_int_equal(fake.rests, 1);
}

static void thirty_seconds_are_the_default(void **unused)
{
	(void)unused;
	ask("format=pprof");
	assert_int_equal(http.head.status, 200);
	assert_int_equal(waited_ns, 30 * PA_NS_PER_S);
}

static void folded_and_top_are_texts(void **unused)
{
	(void)unused;
	ask("format=folded&seconds=1");
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.head.type, "text/plain; charset=utf-8");
	assert_string_equal(http.disposition, "");
	char body[64];
	snprintf(body, sizeof(body), "folded fgprof %d duration 1000000000\n", fake.dumps);
	assert_string_equal(http.bytes, body);
	assert_int_equal(fake.value, 1);
	ask("format=top&seconds=1&type=samples&n=3");
	assert_string_equal(http.head.type, "text/plain; charset=utf-8");
	assert_int_equal(fake.value, 0);
	assert_int_equal(fake.rows, 3);
}

static void bad_parameters_are_400(void **unused)
{
	const char *const bad[] = { "seconds=0", "seconds=-1", "seconds=x", "seconds=1.5" };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(bad); i++) {
		ask(bad[i]);
		is_error(400, "bad seconds: must be a positive integer\n");
	}
	ask("seconds=1&format=svg");
	is_error(400, "unknown format: there are pprof, folded and top\n");
	assert_int_equal(waits, 0);
	assert_int_equal(fake.dumps, 0);
}

static void a_client_that_leaves_ends_it(void **unused)
{
	(void)unused;
	leave_after = 3;
	ask("seconds=30");
	is_error(500, "context canceled\n");
	assert_int_equal(waits, 3);
	assert_int_equal(fake.dumps, 2);
	http.client_left = false;
	leave_after = 1;
	waits = 0;
	ask("seconds=30");
	is_error(500, "context canceled\n");
}

static struct pa_http other;

static void ask_meanwhile(void)
{
	const struct pa_request request = { .query = "seconds=1", .path = "" };
	pass_time();
	if (!other.begun)
		pa_fgprof_answer(&other, &request);
}

static void a_second_one_is_refused(void **unused)
{
	(void)unused;
	other = http_new();
	http.on_wait = ask_meanwhile;
	ask("seconds=1");
	assert_int_equal(http.head.status, 200);
	assert_int_equal(other.head.status, 500);
	assert_true(other.head.pprof_error);
	assert_string_equal(other.bytes,
		"Could not enable fgprof: wall-clock profiling already in use\n");
	http_free(&other);
}

static void failures_are_told(void **unused)
{
	(void)unused;
	fake.take_fails = true;
	ask("seconds=2");
	is_error(500, "failed to collect profile\n");
	assert_in_range(waits, 2, 4);
	fake.take_fails = false;
	fake.encode_error = -EIO;
	ask("seconds=1");
	is_error(500, "failed to write profile\n");
}

static void crowds_are_turned_away(void **unused)
{
	(void)unused;
	http.crowded = http.suspend_full = true;
	ask("seconds=1");
	is_error(503, "too many profiles are being taken; try again\n");
	assert_int_equal(waits, 0);
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
	ask("seconds=1");
	assert_int_equal(http.head.status, 200);
	assert_int_equal(http.suspended, 3);
	assert_in_range(waited_ns, PA_NS_PER_S, 2 * PA_NS_PER_S);
}

static void one_that_leaves_while_it_waits_ends_there(void **unused)
{
	(void)unused;
	http.crowded = true;
	leave_after = 1;
	ask("seconds=1");
	is_error(500, "context canceled\n");
	assert_int_equal(http.suspended, 1);
}

static void head_takes_nothing(void **unused)
{
	(void)unused;
	http.head_only = true;
	ask("seconds=1");
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.head.type, "application/octet-stream");
	assert_string_equal(http.disposition, "attachment; filename=\"fgprof\"");
	ask("format=folded");
	assert_string_equal(http.head.type, "text/plain; charset=utf-8");
	ask("seconds=0");
	assert_int_equal(http.head.status, 400);
	assert_int_equal(fake.dumps, 0);
	assert_int_equal(waits, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_dump_is_called_at_99_hertz_and_at_the_end),
		TEST(thirty_seconds_are_the_default),
		TEST(folded_and_top_are_texts),
		TEST(bad_parameters_are_400),
		TEST(a_client_that_leaves_ends_it),
		TEST(a_second_one_is_refused),
		TEST(failures_are_told),
		TEST(crowds_are_turned_away),
		TEST(in_a_crowd_it_waits_until_a_worker_may_be_kept),
		TEST(one_that_leaves_while_it_waits_ends_there),
		TEST(head_takes_nothing),
	};
	return cmocka_run_group_tests(tests, fake_start, NULL);
}

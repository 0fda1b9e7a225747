/* SPDX-License-Identifier: Apache-2.0 */
/* Changes since the same client asked last. */
#include "agent/profile/snapshot_take.h"
#include "agent/serve/delta_endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/serve/delta_clients.h"
#include "test/lib/c/fake_http.h"
#include "test/lib/c/fake_profiles.h"

static struct pa_http http;

static int set_up(void **unused)
{
	(void)unused;
	fake_reset();
	pa_delta_clients_reset();
	fake.bridge.start_wall_ns = PA_NS_PER_S / 4;
	http = http_new();
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	http_free(&http);
	return 0;
}

static void ask_with(const char *name, const char *agent, enum pa_request_method method,
	const char *query)
{
	const struct pa_request request = { .method = method,
		.path = "",
		.query = query,
		.peer = "127.0.0.1",
		.header_count = 1,
		.headers = { { "User-Agent", agent } } };
	const struct pa_http given = http;
	http_free(&http);
	http = http_new();
	http.crowded = given.crowded;
	http.suspend_full = given.suspend_full;
	http.client_left = given.client_left;
	http.on_wait = given.on_wait;
	http.head_only = method == PA_REQUEST_METHOD_HEAD;
	pa_delta_endpoint_answer(&http, &request, pa_profile_lookup(name));
	assert_true(http.ended);
	fake_settle();
}

static void ask(const char *name, const char *agent)
{
	ask_with(name, agent, PA_REQUEST_METHOD_GET, "");
}

static void gives(const char *body)
{
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.head.type, "application/octet-stream");
	assert_string_equal(http.bytes, body);
}

static void fails_with(int status, const char *body)
{
	assert_int_equal(http.head.status, status);
	assert_true(http.head.pprof_error);
	assert_string_equal(http.bytes, body);
}

/* The fake's snapshots have their number as value and as second. */
static void the_first_answer_is_all_since_the_start(void **unused)
{
	(void)unused;
	pa_snapshot_free(pa_snapshot_take(&pa_heap_profile, false));
	ask("heap", "a");
	gives("proto heap 2 duration 0\n");
	assert_string_equal(http.disposition, "attachment; filename=\"delta_heap\"");
	assert_int_equal(fake.rests, 1);
}

static void later_answers_begin_where_the_last_one_ended(void **unused)
{
	(void)unused;
	ask("heap", "a");
	ask("heap", "a");
	gives("proto heap 1 duration 0\n");
	for (int i = 0; i < 4; i++)
		pa_snapshot_free(pa_snapshot_take(&pa_heap_profile, false));
	ask("heap", "a");
	gives("proto heap 5 duration 0\n");
}

static void each_client_has_its_own(void **unused)
{
	(void)unused;
	ask("mutex", "a");
	ask("mutex", "a");
	ask("mutex", "b");
	/* A new client begins where the last one stopped. */
	gives("proto mutex 1 duration 1000000000\n");
	assert_string_equal(http.disposition, "attachment; filename=\"delta_mutex\"");
	ask("mutex", "a");
	gives("proto mutex 2 duration 2000000000\n");
}

static void what_is_in_use_is_no_difference(void **unused)
{
	(void)unused;
	fake.in_use = 50;
	ask("heap", "a");
	assert_int_equal(fake.seen[2], 50);
	fake.in_use = 20;
	ask("heap", "a");
	assert_int_equal(fake.seen[0], 1);
	assert_int_equal(fake.seen[2], 20);
	fake.taken--; /* as if nothing had happened */
	ask("heap", "a");
	assert_int_equal(fake.seen[0], 0);
	assert_int_equal(fake.seen[2], 20);
	fake.taken--;
	fake.in_use = 0;
	ask("heap", "a");
	assert_int_equal(http.head.status, 200);
	assert_int_equal(fake.seen_count, 0);
}

static void contention_without_change_has_no_samples(void **unused)
{
	(void)unused;
	ask("block", "a");
	assert_int_equal(fake.seen_count, 1);
	fake.taken--;
	ask("block", "a");
	assert_int_equal(http.head.status, 200);
	assert_int_equal(fake.seen_count, 0);
}

static void a_kind_is_watched_sampled_while_a_client_is_known(void **unused)
{
	(void)unused;
	ask("block", "a");
	assert_int_equal(fake.watched, 1); /* before the snapshot was taken */
	ask("block", "a");
	assert_int_equal(fake_watching(&pa_block_profile), 1);
	assert_int_equal(fake_sampled(&pa_block_profile), 1);
	assert_int_equal(fake_watching(&pa_mutex_profile), 0);
	int64_t next_ns = pa_delta_endpoint_idle();
	assert_true(next_ns > 0);
	assert_true(next_ns <= PA_DELTA_CLIENTS_PERIODS * PA_DELTA_CLIENTS_PERIOD_MAX_NS);
	assert_int_equal(pa_delta_clients_expire(INT64_MAX), -1);
	assert_int_equal(fake_watching(&pa_block_profile), 0);
	assert_int_equal(pa_delta_endpoint_idle(), -1);
}

static void parameters_of_go_are_ignored(void **unused)
{
	(void)unused;
	ask_with("heap", "a", PA_REQUEST_METHOD_GET, "debug=1&seconds=5&gc=1");
	gives("proto heap 1 duration 0\n");
	assert_int_equal(fake.taken, 1); /* gc takes one more */
	assert_int_equal(http.waited_ns, 0);
	ask_with("heap", "a", PA_REQUEST_METHOD_GET, "seconds=x");
	gives("proto heap 1 duration 0\n");
}

static void formats_are_texts(void **unused)
{
	(void)unused;
	ask_with("heap", "a", PA_REQUEST_METHOD_GET, "format=top&type=two&n=0");
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.head.type, "text/plain; charset=utf-8");
	assert_string_equal(http.disposition, "");
	assert_string_equal(http.bytes, "top heap 1 duration 0\n");
	assert_int_equal(fake.value, 1);
	assert_int_equal(fake.rows, 0);
	ask_with("heap", "a", PA_REQUEST_METHOD_HEAD, "format=folded");
	assert_string_equal(http.head.type, "text/plain; charset=utf-8");
	ask_with("heap", "a", PA_REQUEST_METHOD_GET, "format=x");
	fails_with(400, "unknown format: there are pprof, folded and top\n");
	assert_int_equal(fake.taken, 1);
}

static void head_changes_nothing(void **unused)
{
	(void)unused;
	ask_with("block", "a", PA_REQUEST_METHOD_HEAD, "");
	gives("");
	assert_string_equal(http.disposition, "attachment; filename=\"delta_block\"");
	assert_int_equal(fake.taken, 0);
	assert_int_equal(pa_delta_clients_stats().known, 0);
	assert_int_equal(pa_load_acquire(&fake_kinds.watches), 0);
}

static void what_was_not_written_comes_again(void **unused)
{
	(void)unused;
	ask("heap", "a");
	fake.encode_error = -EIO;
	ask("heap", "a");
	fails_with(500, "failed to write profile\n");
	fake.encode_error = 0;
	fake.take_fails = true;
	ask("heap", "a");
	fails_with(500, "failed to collect profile\n");
	fake.take_fails = false;
	ask("heap", "a");
	gives("proto heap 2 duration 0\n");
}

static void crowds_are_turned_away(void **unused)
{
	(void)unused;
	http.crowded = http.suspend_full = true;
	ask("heap", "a");
	fails_with(503, "too many profiles are being taken; try again\n");
	assert_int_equal(pa_delta_clients_stats().known, 0);
}

static void end_crowd(void)
{
	http.crowded = http.suspended < 3;
}

static void in_a_crowd_it_waits_until_a_worker_may_be_kept(void **unused)
{
	(void)unused;
	http.crowded = true;
	http.on_wait = end_crowd;
	ask("heap", "a");
	gives("proto heap 1 duration 0\n");
	assert_string_equal(http.disposition, "attachment; filename=\"delta_heap\"");
	assert_int_equal(http.suspended, 3);
}

static void one_that_leaves_while_it_waits_changes_nothing(void **unused)
{
	(void)unused;
	http.crowded = http.client_left = true;
	ask("heap", "a");
	fails_with(500, "context canceled\n");
	assert_int_equal(pa_delta_clients_stats().known, 0);
	assert_int_equal(fake.taken, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_answer_is_all_since_the_start),
		TEST(later_answers_begin_where_the_last_one_ended),
		TEST(each_client_has_its_own),
		TEST(what_is_in_use_is_no_difference),
		TEST(contention_without_change_has_no_samples),
		TEST(a_kind_is_watched_sampled_while_a_client_is_known),
		TEST(parameters_of_go_are_ignored),
		TEST(formats_are_texts),
		TEST(head_changes_nothing),
		TEST(what_was_not_written_comes_again),
		TEST(crowds_are_turned_away),
		TEST(in_a_crowd_it_waits_until_a_worker_may_be_kept),
		TEST(one_that_leaves_while_it_waits_changes_nothing),
	};
	return cmocka_run_group_tests(tests, fake_start, NULL);
}

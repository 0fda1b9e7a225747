/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/serve/worker_wait.h"
#include "test/lib/c/fake_http.h"

static struct pa_http http;
static int gone, dropped;
static const char *why;

static void go(struct pa_http *to, struct pa_worker_wait *turn)
{
	(void)turn;
	assert_true(to->claimed);
	gone++;
	pa_http_begin(to, &(struct pa_http_head){ .status = 200 });
}

static void drop(void *turn)
{
	(void)turn;
	dropped++;
}

static const char *refusal(const struct pa_worker_wait *turn)
{
	(void)turn;
	return why;
}

static struct pa_worker_wait turn;

static int set_up(void **unused)
{
	(void)unused;
	http = http_new();
	gone = dropped = 0;
	why = NULL;
	turn = (struct pa_worker_wait){
		.go = go,
		.drop = drop,
		.refusal = refusal,
		.until_ns = pa_clock_mono_ns() + 3600 * PA_NS_PER_S,
	};
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	http_free(&http);
	return 0;
}

static void is_answered(int status, int went)
{
	assert_int_equal(http.head.status, status);
	assert_int_equal(gone, went);
	assert_int_equal(dropped, !went); /* each turn is taken once */
}

static void free_worker_is_had_at_once(void **unused)
{
	(void)unused;
	pa_worker_wait_begin(&http, &turn);
	is_answered(200, 1);
	assert_int_equal(http.suspended, 0);
}

static void end_crowd(void)
{
	http.crowded = false;
}

static void crowded_one_waits_without_a_worker(void **unused)
{
	(void)unused;
	http.crowded = true;
	http.on_wait = end_crowd;
	pa_worker_wait_begin(&http, &turn);
	is_answered(200, 1);
	assert_int_equal(http.suspended, 1);
	assert_true(http.waited_ns == PA_HTTP_QUEUE_NS);
}

static void one_that_has_waited_in_vain_is_turned_away(void **unused)
{
	(void)unused;
	http.crowded = true;
	turn.until_ns = pa_clock_mono_ns();
	pa_worker_wait_begin(&http, &turn);
	is_answered(503, 0);
	assert_int_equal(http.suspended, 0);
}

static void one_without_a_place_to_wait_is_turned_away(void **unused)
{
	(void)unused;
	http.crowded = http.suspend_full = true;
	pa_worker_wait_begin(&http, &turn);
	is_answered(503, 0);
}

static void client_that_leaves_ends_the_wait(void **unused)
{
	(void)unused;
	http.crowded = http.client_left = true;
	pa_worker_wait_begin(&http, &turn);
	is_answered(500, 0);
	assert_string_equal(http.bytes, "context canceled\n");
}

static void one_that_would_be_refused_takes_no_place(void **unused)
{
	(void)unused;
	why = "in use";
	http.crowded = true;
	pa_worker_wait_begin(&http, &turn);
	is_answered(500, 0);
	assert_string_equal(http.bytes, "in use\n");
	assert_int_equal(http.suspended, 0);
}

static void begin_to_refuse(void)
{
	why = "in use";
}

static void refusal_is_asked_again_after_a_wait(void **unused)
{
	(void)unused;
	http.crowded = true;
	http.on_wait = begin_to_refuse;
	pa_worker_wait_begin(&http, &turn);
	is_answered(500, 0);
	assert_int_equal(http.suspended, 1);
}

static void turn_without_a_refusal_is_never_refused(void **unused)
{
	(void)unused;
	why = "in use";
	turn.refusal = NULL;
	pa_worker_wait_begin(&http, &turn);
	is_answered(200, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(free_worker_is_had_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(crowded_one_waits_without_a_worker, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(one_that_has_waited_in_vain_is_turned_away, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(one_without_a_place_to_wait_is_turned_away, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(client_that_leaves_ends_the_wait, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(one_that_would_be_refused_takes_no_place, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(refusal_is_asked_again_after_a_wait, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(turn_without_a_refusal_is_never_refused, set_up,
			tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/waiting_requests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int dropped;

static void count_drop(void *arg)
{
	(void)arg;
	dropped++;
}

/* No descriptor is looked at. */
static void add(int fd, int64_t due_ns, int64_t queued_ns)
{
	const struct pa_waiting_request waiting = {
		.fd = fd, .due_ns = due_ns, .queued_ns = queued_ns, .drop = count_drop
	};
	assert_true(pa_waiting_requests_add(&waiting));
}

static int next(int64_t now_ns)
{
	return pa_waiting_requests_next(NULL, 0, now_ns);
}

static int set_up(void **unused)
{
	(void)unused;
	pa_waiting_requests_reset();
	dropped = 0;
	return 0;
}

static void first_come_is_first_handed_out(void **unused)
{
	(void)unused;
	add(1, 10, 300);
	add(2, 10, 100);
	add(3, 10, 0); /* waits for a time, which is over */
	add(4, 10, 200);
	add(5, 50, 50);
	assert_int_equal(next(9), -1);
	assert_int_equal(next(10), 3);
	assert_int_equal(next(10), 2);
	assert_int_equal(next(10), 4);
	assert_int_equal(next(10), 1);
	assert_int_equal(next(10), -1);
	assert_int_equal(next(50), 5);
}

static void claims_go_to_those_that_came_first(void **unused)
{
	struct pa_waiting_request waiting;

	(void)unused;
	assert_true(pa_waiting_requests_is_first(100));
	add(1, 10, 0);
	assert_true(pa_waiting_requests_is_first(100));
	add(2, 10, 100);
	assert_true(pa_waiting_requests_is_first(99));
	assert_true(pa_waiting_requests_is_first(100));
	assert_false(pa_waiting_requests_is_first(101));
	/* Until it is taken. */
	assert_int_equal(next(10), 1);
	assert_int_equal(next(10), 2);
	assert_false(pa_waiting_requests_is_first(101));
	assert_true(pa_waiting_requests_take(2, &waiting));
	assert_true(pa_waiting_requests_is_first(101));
}

static void each_worker_that_is_free_makes_one_more_due(void **unused)
{
	(void)unused;
	add(1, 1000, 300);
	add(2, 1000, 0);
	add(3, 1000, 100);
	add(4, 1000, 200);
	assert_int_equal(next(1), -1);
	pa_waiting_requests_wake_first();
	pa_waiting_requests_wake_first();
	assert_int_equal(pa_waiting_requests_wait_ns(1), 0);
	assert_int_equal(next(1), 3);
	assert_int_equal(next(1), 4);
	assert_int_equal(next(1), -1);
	pa_waiting_requests_wake_first();
	assert_int_equal(next(1), 1);
	pa_waiting_requests_wake_first();
	assert_int_equal(next(1), -1);
}

static void after_a_reset_none_waits(void **unused)
{
	(void)unused;
	add(1, 10, 100);
	add(2, 10, 0);
	pa_waiting_requests_reset();
	assert_int_equal(dropped, 2);
	assert_true(pa_waiting_requests_is_first(200));
	assert_int_equal(next(10), -1);
}

static void request_is_due_when_its_other_descriptor_can_be_read(void **unused)
{
	const struct pa_waiting_request waiting = {
		.fd = 5, .other_fd = 6, .due_ns = 1000, .drop = count_drop
	};
	struct pa_waiting_request taken;
	struct pollfd polls[PA_WAITING_REQUESTS_POLLS];

	(void)unused;
	assert_true(pa_waiting_requests_add(&waiting));
	assert_int_equal(pa_waiting_requests_fill(polls), 2);
	assert_int_equal(polls[0].fd, 5);
	assert_int_equal(polls[0].events, POLLRDHUP);
	assert_int_equal(polls[1].fd, 6);
	assert_int_equal(polls[1].events, POLLIN);
	polls[0].revents = polls[1].revents = 0;
	assert_int_equal(pa_waiting_requests_next(polls, 2, 1), -1);
	polls[1].revents = POLLIN;
	assert_int_equal(pa_waiting_requests_next(polls, 2, 1), 5);
	assert_true(pa_waiting_requests_take(5, &taken));
	assert_false(taken.left);
	/* The client's end counts as of any request. */
	assert_true(pa_waiting_requests_add(&waiting));
	polls[0].revents = POLLRDHUP;
	polls[1].revents = 0;
	assert_int_equal(pa_waiting_requests_next(polls, 2, 1), 5);
	assert_true(pa_waiting_requests_take(5, &taken));
	assert_true(taken.left);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(request_is_due_when_its_other_descriptor_can_be_read,
			set_up),
		cmocka_unit_test_setup(first_come_is_first_handed_out, set_up),
		cmocka_unit_test_setup(claims_go_to_those_that_came_first, set_up),
		cmocka_unit_test_setup(each_worker_that_is_free_makes_one_more_due, set_up),
		cmocka_unit_test_setup(after_a_reset_none_waits, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

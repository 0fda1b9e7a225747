/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/symbols/symbols.h"
#include "agent/symbols/symbols_guard.h"

static void count(void *arg)
{
	++*(int *)arg;
}

static void count_and_bail(void *arg)
{
	++*(int *)arg;
	pa_symbols_bail();
	++*(int *)arg;
}

static void work_that_ends_is_done(void **unused)
{
	int counter = 0;

	(void)unused;
	assert_true(pa_symbols_guard(count, &counter));
	assert_int_equal(counter, 1);
}

static void work_that_bails_out_is_left(void **unused)
{
	int counter = 0;

	(void)unused;
	for (int i = 1; i <= 3; i++) {
		assert_false(pa_symbols_guard(count_and_bail, &counter));
		assert_int_equal(counter, i);
	}
	assert_true(pa_symbols_guard(count, &counter));
}

static void outside_of_work_bailing_out_returns(void **unused)
{
	int counter = 0;

	(void)unused;
	pa_symbols_bail();
	count_and_bail(&counter);
	assert_int_equal(counter, 2);
}

static void *bail_elsewhere(void *arg)
{
	count_and_bail(arg);
	return NULL;
}

static void let_others_bail(void *arg)
{
	pthread_t thread;
	int status;

	pthread_create(&thread, NULL, bail_elsewhere, arg);
	pthread_join(thread, NULL);
	pid_t pid = fork();
	if (pid == 0) {
		pa_symbols_bail();
		_exit(7);
	}
	waitpid(pid, &status, 0);
	if (WEXITSTATUS(status) == 7)
		++*(int *)arg;
}

static void another_thread_or_process_is_not_pulled_out(void **unused)
{
	int counter = 0;

	(void)unused;
	assert_true(pa_symbols_guard(let_others_bail, &counter));
	assert_int_equal(counter, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_that_ends_is_done),
		cmocka_unit_test(work_that_bails_out_is_left),
		cmocka_unit_test(outside_of_work_bailing_out_returns),
		cmocka_unit_test(another_thread_or_process_is_not_pulled_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

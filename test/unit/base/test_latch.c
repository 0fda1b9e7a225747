/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "agent/base/latch.h"
#include "agent/base/clock.h"

static struct pa_latch latch;
static unsigned long counter;
static volatile sig_atomic_t calls;

static void *count(void *unused)
{
	for (int i = 0; i < 20000; i++) {
		struct pa_latch_hold hold = pa_latch_enter(&latch);
		counter++;
		pa_latch_leave(&latch, hold);
	}
	return unused;
}

static void one_thread_at_a_time_has_it(void **unused)
{
	pthread_t threads[4];
	(void)unused;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, count, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(counter, 4 * 20000);
}

static void enter_and_leave(int signal)
{
	(void)signal;
	pa_latch_leave(&latch, pa_latch_enter(&latch));
	calls++;
}

static void handlers_wait_until_it_is_free(void **unused)
{
	(void)unused;
	signal(SIGUSR1, enter_and_leave);
	struct pa_latch_hold hold = pa_latch_enter(&latch);
	raise(SIGUSR1);
	assert_int_equal(calls, 0);
	pa_latch_leave(&latch, hold);
	assert_int_equal(calls, 1);
}

static void mask_and_errno_are_as_before(void **unused)
{
	sigset_t mask, now;
	(void)unused;
	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	errno = 77;
	pa_latch_leave(&latch, pa_latch_enter(&latch));
	assert_int_equal(errno, 77);
	sigprocmask(SIG_BLOCK, NULL, &now);
	for (int i = 1; i <= SIGRTMAX; i++)
		assert_int_equal(sigismember(&mask, i), sigismember(&now, i));
}

static void *enter_for_good(void *unused)
{
	pa_latch_enter(&latch);
	return unused;
}

static void holder_that_is_gone_delays_no_caller_for_long(void **unused)
{
	pthread_t thread;
	(void)unused;
	pthread_create(&thread, NULL, enter_for_good, NULL);
	pthread_join(thread, NULL);
	struct pa_latch_hold hold = pa_latch_enter(&latch);
	assert_false(hold.held);
	pa_latch_leave(&latch, hold);
	hold = pa_latch_enter(&latch);
	assert_true(hold.held);
	pa_latch_leave(&latch, hold);
}

static void reset_frees_it(void **unused)
{
	(void)unused;
	struct pa_latch_hold hold = pa_latch_enter(&latch), again;
	pa_latch_reset(&latch);
	again = pa_latch_enter(&latch);
	assert_true(again.held);
	pa_latch_leave(&latch, hold);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_thread_at_a_time_has_it),
#ifndef __SANITIZE_THREAD__ /* it calls handlers itself, later */
		cmocka_unit_test(handlers_wait_until_it_is_free),
#endif
		cmocka_unit_test(mask_and_errno_are_as_before),
		cmocka_unit_test(holder_that_is_gone_delays_no_caller_for_long),
		cmocka_unit_test(reset_frees_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/thread_cpu.h"
#include "agent/serve/queue_clock.h"

/* The clocks of this test, and which thread has one. */
static int64_t mono_ns, cpu_ns;
static pid_t render_tid;

int64_t pa_clock_mono_ns(void)
{
	return mono_ns;
}

int64_t pa_thread_cpu_ns(pid_t tid)
{
	assert_int_equal(tid, render_tid);
	return cpu_ns;
}

static int reset(void **unused)
{
	(void)unused;
	pa_queue_clock_reset();
	mono_ns += 1000;
	cpu_ns = 77;
	render_tid = gettid();
	return 0;
}

/* What the clock advances while these pass. */
static int64_t advance(int64_t passed_ns, int64_t used_ns)
{
	int64_t before_ns = pa_queue_clock_ns();

	mono_ns += passed_ns;
	cpu_ns += used_ns;
	return pa_queue_clock_ns() - before_ns;
}

static void with_no_job_it_is_the_monotonic_clock(void **unused)
{
	(void)unused;
	pa_queue_clock_attend();
	assert_int_equal(advance(900, 0), 900);
	assert_int_equal(advance(900, 5000), 900);
}

static void it_runs_with_the_work_of_the_render_thread(void **unused)
{
	(void)unused;
	pa_queue_clock_attend();
	pa_queue_clock_busy(true);
	assert_int_equal(advance(900, 900), 900);
	assert_int_equal(advance(900, 600), 600);
	assert_int_equal(advance(900, 1200), 1200); /* more than passed: it catches up */
	pa_queue_clock_busy(false);
	assert_int_equal(advance(900, 0), 900);
}

static void without_a_processor_it_runs_at_a_third_of_the_speed(void **unused)
{
	(void)unused;
	pa_queue_clock_attend();
	pa_queue_clock_busy(true);
	assert_int_equal(advance(900, 0), 300);
	assert_int_equal(advance(900, 10), 300);
	pa_queue_clock_busy(true); /* another job */
	assert_int_equal(advance(900, 0), 300);
}

static void while_there_is_no_thread_for_the_jobs_too(void **unused)
{
	(void)unused;
	pa_queue_clock_busy(true);
	assert_int_equal(advance(900, 900), 300);
	pa_queue_clock_attend();
	assert_int_equal(advance(900, 900), 900);
	pa_queue_clock_leave();
	render_tid = 1;
	assert_int_equal(advance(900, 0), 300);
}

static void it_does_not_jump_when_the_jobs_are_done(void **unused)
{
	(void)unused;
	pa_queue_clock_attend();
	pa_queue_clock_busy(true);
	advance(900, 0);
	int64_t before_ns = pa_queue_clock_ns();
	pa_queue_clock_busy(false);
	assert_int_equal(pa_queue_clock_ns(), before_ns);
	pa_queue_clock_busy(true);
	assert_int_equal(pa_queue_clock_ns(), before_ns);
}

/* The futex does not have the value: the wait takes no time but the clock's step. */
static void waiting_for_a_client_is_no_lack_of_a_processor(void **unused)
{
	struct pa_wake_word word = { .changes = 1 };

	(void)unused;
	pa_queue_clock_attend();
	pa_queue_clock_busy(true);
	assert_int_equal(pa_queue_clock_wait(&word, 0, 1, true), 0);
	assert_int_equal(advance(900, 0), 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(with_no_job_it_is_the_monotonic_clock, reset),
		cmocka_unit_test_setup(it_runs_with_the_work_of_the_render_thread, reset),
		cmocka_unit_test_setup(without_a_processor_it_runs_at_a_third_of_the_speed, reset),
		cmocka_unit_test_setup(while_there_is_no_thread_for_the_jobs_too, reset),
		cmocka_unit_test_setup(it_does_not_jump_when_the_jobs_are_done, reset),
		cmocka_unit_test_setup(waiting_for_a_client_is_no_lack_of_a_processor, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "agent/base/atomic.h"
#include "agent/base/clock.h"
#include "agent/base/thread_cpu.h"

static struct {
	PA_ATOMIC(int) tid, end;
} burner;

static void *burn(void *unused)
{
	pa_store_release(&burner.tid, gettid());
	while (!pa_load_acquire(&burner.end))
		;
	return unused;
}

static void it_is_that_of_the_thread(void **unused)
{
	int64_t before_ns = pa_clock_thread_cpu_ns(), got_ns = pa_thread_cpu_ns(gettid());

	(void)unused;
	assert_true(got_ns >= before_ns);
	assert_true(got_ns <= pa_clock_thread_cpu_ns());
}

static void other_threads_have_theirs(void **unused)
{
	pthread_t thread;

	(void)unused;
	assert_int_equal(pthread_create(&thread, NULL, burn, NULL), 0);
	while (!pa_load_acquire(&burner.tid))
		sched_yield();
	int64_t begin_ns = pa_thread_cpu_ns(burner.tid);
	while (pa_thread_cpu_ns(burner.tid) < begin_ns + PA_NS_PER_MS)
		sched_yield();
	pa_store_release(&burner.end, 1);
	pthread_join(thread, NULL);
	errno = 5;
	assert_int_equal(pa_thread_cpu_ns(burner.tid), 0);
	assert_int_equal(errno, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_that_of_the_thread),
		cmocka_unit_test(other_threads_have_theirs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

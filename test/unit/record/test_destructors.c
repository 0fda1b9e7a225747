/* SPDX-License-Identifier: Apache-2.0 */
/* Destructors of this program, which are run by calls of what wrap returns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/record/destructors.h"
#include "agent/record/thread.h"
#include "test/lib/c/record_fixture.h"

/* Far longer than any of what is waited for here takes. */
#define LONG_NS (60 * PA_NS_PER_S)

static struct {
	PA_ATOMIC(int) runs, calls, calls_before;
	PA_ATOMIC(bool) in, may_leave;
} seen;

static void first(void *value)
{
	pa_store_release(&seen.calls_before, pa_load_acquire(&seen.calls));
	pa_add_acq_rel(&seen.runs, *(int *)value);
}

static void lasting(void *value)
{
	(void)value;
	pa_store_release(&seen.in, true);
	while (!pa_load_acquire(&seen.may_leave))
		sched_yield();
}

static void third(void *value)
{
	(void)value;
}

static void fourth(void *value)
{
	free(value);
}

static void fifth(void *value)
{
	*(int *)value = 5;
}

static int note_call(const char *name, void *old, size_t *old_bytes, void *fresh,
	size_t fresh_bytes)
{
	assert_string_equal(name, "version");
	assert_true(old && *old_bytes == sizeof(const char *) && !fresh && !fresh_bytes);
	pa_add_acq_rel(&seen.calls, 1);
	return 0;
}

static int set_up(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	memset((void *)&seen, 0, sizeof(seen));
	return 0;
}

static void destructors_of_the_executable_are_wrapped_the_same_each_time(void **unused)
{
	(void)unused;
	pa_destructors_run *wrapped = pa_destructors_wrap(first);
	assert_ptr_not_equal(wrapped, first);
	assert_ptr_equal(pa_destructors_wrap(first), wrapped);
	assert_true(pa_destructors_has((uintptr_t)first));
	assert_ptr_not_equal(pa_destructors_wrap(lasting), wrapped);
}

static void others_are_left_alone(void **unused)
{
	(void)unused;
	assert_null(pa_destructors_wrap(NULL));
	assert_ptr_equal(pa_destructors_wrap(free), free);
	assert_false(pa_destructors_has((uintptr_t)free));
	assert_false(pa_destructors_has(0));
	pa_destructors_wrap(third);
	pa_destructors_wrap(fourth);
	assert_ptr_equal(pa_destructors_wrap(fifth), fifth);
	assert_false(pa_destructors_has((uintptr_t)fifth));
}

static void *end(void *value)
{
	pa_destructors_wrap(first)(value);
	pa_destructors_wrap(first)(value);
	return NULL;
}

static void end_thread(int value)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, end, &value), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void thread_calls_the_allocator_once_before_its_destructor(void **unused)
{
	(void)unused;
	end_thread(1);
	assert_int_equal(seen.runs, 2);
	assert_int_equal(seen.calls, 0);
	assert_true(pa_destructors_hold((uintptr_t)first, LONG_NS));
	pa_destructors_release((uintptr_t)first, note_call);
	end_thread(10);
	assert_int_equal(seen.runs, 22);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.calls_before, 1);
}

static void threads_wait_while_held(void **unused)
{
	(void)unused;
	pthread_t threads[8];
	int value = 1;
	assert_true(pa_destructors_hold((uintptr_t)first, LONG_NS));
	for (size_t i = 0; i < PA_COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, end, &value), 0);
	for (int i = 0; i < 100; i++)
		sched_yield();
	assert_int_equal(pa_load_acquire(&seen.runs), 0);
	pa_destructors_release((uintptr_t)first, NULL);
	for (size_t i = 0; i < PA_COUNT(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(seen.runs, 2 * PA_COUNT(threads));
}

static void *end_slowly(void *unused)
{
	(void)unused;
	pa_destructors_wrap(lasting)(NULL);
	return NULL;
}

static void hold_waits_for_threads_that_are_in_it(void **unused)
{
	(void)unused;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, end_slowly, NULL), 0);
	while (!pa_load_acquire(&seen.in))
		sched_yield();
	assert_false(pa_destructors_hold((uintptr_t)lasting, PA_NS_PER_MS));
	end_thread(1);                                               /* nothing is held */
	assert_true(pa_destructors_hold((uintptr_t)first, LONG_NS)); /* another one is free */
	pa_destructors_release((uintptr_t)first, NULL);
	pa_store_release(&seen.may_leave, true);
	assert_true(pa_destructors_hold((uintptr_t)lasting, LONG_NS));
	pa_destructors_release((uintptr_t)lasting, NULL);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void child_of_the_one_that_holds_does_not_wait(void **unused)
{
	(void)unused;
	int status, value = 1;
	assert_true(pa_destructors_hold((uintptr_t)first, LONG_NS));
	pid_t child = fork();
	if (child == 0) {
		alarm(30);
		pa_destructors_wrap(first)(&value);
		_exit(pa_load_acquire(&seen.runs));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 1 << 8);
	pa_destructors_release((uintptr_t)first, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(destructors_of_the_executable_are_wrapped_the_same_each_time,
			set_up),
		cmocka_unit_test_setup(thread_calls_the_allocator_once_before_its_destructor,
			set_up),
		cmocka_unit_test_setup(threads_wait_while_held, set_up),
		cmocka_unit_test_setup(hold_waits_for_threads_that_are_in_it, set_up),
		cmocka_unit_test_setup(child_of_the_one_that_holds_does_not_wait, set_up),
		cmocka_unit_test_setup(others_are_left_alone, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/record/copy_size.h"

static struct pa_copy_size_pair sizes;

static int no_sizes(void **unused)
{
	(void)unused;
	sizes = (struct pa_copy_size_pair){ .own = { 0 } };
	return 0;
}

static void learn_often(bool own, uint64_t needed_bytes, int times)
{
	for (int i = 0; i < times; i++)
		pa_copy_size_learn(&sizes, own, needed_bytes);
}

static void sizes_begin_small(void **unused)
{
	(void)unused;
	assert_int_equal(pa_copy_size_bytes(&sizes, true), PA_COPY_SIZE_OWN_BYTES);
	assert_int_equal(pa_copy_size_bytes(&sizes, false), PA_COPY_SIZE_FOREIGN_BYTES);
}

static void copy_that_was_too_short_is_larger_the_next_time(void **unused)
{
	(void)unused;
	pa_copy_size_learn(&sizes, true, PA_COPY_SIZE_OWN_BYTES);
	assert_int_equal(pa_copy_size_bytes(&sizes, true), PA_COPY_SIZE_OWN_BYTES);
	pa_copy_size_learn(&sizes, true, PA_COPY_SIZE_OWN_BYTES + 8);
	assert_int_equal(pa_copy_size_bytes(&sizes, true), 2 * PA_COPY_SIZE_OWN_BYTES);
	pa_copy_size_learn(&sizes, true, 5 * PA_COPY_SIZE_OWN_BYTES);
	assert_int_equal(pa_copy_size_bytes(&sizes, true), 8 * PA_COPY_SIZE_OWN_BYTES);
}

static void stacks_of_threads_and_others_are_told_apart(void **unused)
{
	(void)unused;
	pa_copy_size_learn(&sizes, false, PA_COPY_SIZE_FOREIGN_BYTES + 8);
	assert_int_equal(pa_copy_size_bytes(&sizes, false), 2 * PA_COPY_SIZE_FOREIGN_BYTES);
	assert_int_equal(pa_copy_size_bytes(&sizes, true), PA_COPY_SIZE_OWN_BYTES);
}

static void no_copy_is_above_the_limit(void **unused)
{
	(void)unused;
	learn_often(true, UINT64_MAX, 100);
	learn_often(false, UINT64_MAX, 100);
	assert_int_equal(pa_copy_size_bytes(&sizes, true), PA_COPY_SIZE_MAX_BYTES);
	assert_int_equal(pa_copy_size_bytes(&sizes, false), PA_COPY_SIZE_MAX_BYTES);
}

static void size_that_is_not_needed_is_given_up(void **unused)
{
	(void)unused;
	learn_often(true, PA_COPY_SIZE_MAX_BYTES, 1);
	learn_often(true, 100, 200);
	assert_int_equal(pa_copy_size_bytes(&sizes, true), PA_COPY_SIZE_MAX_BYTES);
	learn_often(true, 100, 100000);
	assert_int_equal(pa_copy_size_bytes(&sizes, true), PA_COPY_SIZE_OWN_BYTES);
}

/* One in a hundred stacks needs it: it stays. */
static void size_that_is_needed_now_and_then_stays(void **unused)
{
	(void)unused;
	for (int i = 0; i < 1000; i++) {
		pa_copy_size_learn(&sizes, true, PA_COPY_SIZE_MAX_BYTES);
		learn_often(true, 100, 100);
		assert_int_equal(pa_copy_size_bytes(&sizes, true), PA_COPY_SIZE_MAX_BYTES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sizes_begin_small, no_sizes),
		cmocka_unit_test_setup(copy_that_was_too_short_is_larger_the_next_time, no_sizes),
		cmocka_unit_test_setup(stacks_of_threads_and_others_are_told_apart, no_sizes),
		cmocka_unit_test_setup(no_copy_is_above_the_limit, no_sizes),
		cmocka_unit_test_setup(size_that_is_not_needed_is_given_up, no_sizes),
		cmocka_unit_test_setup(size_that_is_needed_now_and_then_stays, no_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

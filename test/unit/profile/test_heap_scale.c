/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/profile/heap_scale.h"

/* The expected numbers are those of Go's scaleHeapSample. */
static void assert_scaled(int64_t count, int64_t bytes, int64_t rate, int64_t to_count,
	int64_t to_bytes)
{
	int64_t scaled_count = -1, scaled_bytes = -1;
	pa_heap_scale_estimate(count, bytes, rate, &scaled_count, &scaled_bytes);
	assert_int_equal(scaled_count, to_count);
	assert_int_equal(scaled_bytes, to_bytes);
}

static void heap_samples_are_scaled_as_in_go(void **unused)
{
	(void)unused;
	assert_scaled(1, 524288, 524288, 1, 829411);
	assert_scaled(10, 10240, 524288, 5125, 5248001);
	assert_scaled(1, 8, 524288, 65536, 524292);
	assert_scaled(3, 3 * 1048576, 524288, 3, 3638089);
	assert_scaled(1, (int64_t)1 << 40, 524288, 1, (int64_t)1 << 40);
}

static void rate_one_and_less_leave_samples_alone(void **unused)
{
	(void)unused;
	assert_scaled(7, 100, 1, 7, 100);
	assert_scaled(7, 100, 0, 7, 100);
	assert_scaled(7, 100, -5, 7, 100);
}

static void samples_without_count_or_bytes_scale_to_nothing(void **unused)
{
	(void)unused;
	assert_scaled(0, 100, 524288, 0, 0);
	assert_scaled(7, 0, 524288, 0, 0);
	assert_scaled(0, 0, 1, 0, 0);
}

static void negative_differences_scale_as_their_opposites(void **unused)
{
	(void)unused;
	assert_scaled(-10, -10240, 524288, -5125, -5248001);
	assert_scaled(-10, 10240, 524288, -10, 10240);
}

static void scaled_values_do_not_overflow(void **unused)
{
	(void)unused;
	assert_scaled(INT64_MAX / 8, INT64_MAX / 8, 524288, INT64_MAX, INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heap_samples_are_scaled_as_in_go),
		cmocka_unit_test(rate_one_and_less_leave_samples_alone),
		cmocka_unit_test(samples_without_count_or_bytes_scale_to_nothing),
		cmocka_unit_test(negative_differences_scale_as_their_opposites),
		cmocka_unit_test(scaled_values_do_not_overflow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

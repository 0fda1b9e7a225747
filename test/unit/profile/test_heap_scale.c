/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <math.h>
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
	pa_heap_scale_estimate(count, bytes, rate, 0, &scaled_count, &scaled_bytes);
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

/* malloc(0): each is an object. */
static void objects_of_no_bytes_count_at_rate_one(void **unused)
{
	(void)unused;
	assert_scaled(7, 0, 1, 7, 0);
}

static int64_t scaled_count_of(int64_t count, int64_t bytes, double round_up)
{
	int64_t scaled_count, scaled_bytes;
	pa_heap_scale_estimate(count, bytes, 524288, round_up, &scaled_count, &scaled_bytes);
	return scaled_count;
}

static void fractions_of_objects_are_rounded_up_from_a_threshold(void **unused)
{
	(void)unused;
	assert_int_equal(scaled_count_of(1, 524288, 0.41), 1); /* 1.582 */
	assert_int_equal(scaled_count_of(1, 524288, 0.42), 2);
	assert_int_equal(scaled_count_of(-1, -524288, 0.41), -1);
	assert_int_equal(scaled_count_of(-1, -524288, 0.42), -2);
	assert_int_equal(scaled_count_of(1, (int64_t)1 << 40, 0.99), 1); /* nothing to round */
}

/* Blocks of any size up to 1 MiB, one sample of each: with Go's rounding 23 % are missing. */
static void counts_of_many_sizes_add_up(void **unused)
{
	struct pa_stack stack = { .hash = 4711 };
	double made = 0, shown = 0;

	(void)unused;
	for (int64_t size = 1; size <= 1 << 20; size++) {
		made += 1 / (1 - exp(-(double)size / 524288));
		shown += (double)scaled_count_of(1, size, pa_heap_scale_rounding(&stack, size));
	}
	assert_float_equal(shown / made, 1, 0.001);
}

/* As many stacks with one sample of the same size. */
static void counts_of_many_stacks_add_up(void **unused)
{
	double shown = 0;

	(void)unused;
	for (uint64_t i = 0; i < 100000; i++) {
		struct pa_stack stack = { .hash = i * UINT64_C(0x100000001b3) };
		double round_up = pa_heap_scale_rounding(&stack, 524288);
		assert_true(round_up >= 0 && round_up < 1);
		shown += (double)scaled_count_of(1, 524288, round_up);
	}
	assert_float_equal(shown / 100000, 1.582, 0.01);
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
		cmocka_unit_test(objects_of_no_bytes_count_at_rate_one),
		cmocka_unit_test(fractions_of_objects_are_rounded_up_from_a_threshold),
		cmocka_unit_test(counts_of_many_sizes_add_up),
		cmocka_unit_test(counts_of_many_stacks_add_up),
		cmocka_unit_test(negative_differences_scale_as_their_opposites),
		cmocka_unit_test(scaled_values_do_not_overflow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

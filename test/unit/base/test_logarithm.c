/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/base/logarithm.h"

#define BOUND 2e-6

static double value_of(uint64_t x)
{
	return (double)pa_logarithm(x) / (double)((uint64_t)1 << PA_LOGARITHM_BITS);
}

static double error_of(uint64_t x)
{
	return fabs(value_of(x) - (64 * log(2) - log((double)x)));
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state ^ *state >> 33;
}

static void logarithm_is_within_its_bound(void **unused)
{
	(void)unused;
	uint64_t state = 1;
	for (int bit = 0; bit < 64; bit++) {
		uint64_t power = (uint64_t)1 << bit;
		assert_true(error_of(power) < BOUND);
		assert_true(error_of(power | (power - 1)) < BOUND);
		for (int i = 0; i < 10000; i++)
			assert_true(error_of(power | (next_random(&state) & (power - 1))) < BOUND);
	}
}

static void logarithm_never_rises(void **unused)
{
	(void)unused;
	uint64_t before = pa_logarithm(1);
	for (uint64_t i = 1; i <= 1000000; i++) {
		uint64_t now = pa_logarithm(i * (UINT64_MAX / 1000000));
		assert_true(now <= before);
		before = now;
	}
}

static void logarithm_has_an_end_at_both_sides(void **unused)
{
	(void)unused;
	assert_int_equal(pa_logarithm(0), pa_logarithm(1));
	assert_true(fabs(value_of(1) - 64 * log(2)) < BOUND);
	assert_true(value_of(UINT64_MAX) < BOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logarithm_is_within_its_bound),
		cmocka_unit_test(logarithm_never_rises),
		cmocka_unit_test(logarithm_has_an_end_at_both_sides),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

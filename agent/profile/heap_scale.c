/* SPDX-License-Identifier: Apache-2.0 */
#include "heap_scale.h"

#include <math.h> /* ldexpl: of libc */

#include "../base/base.h"

#include "../base/hash_table.h"

static int64_t scaled_value(int64_t value, double scale, double round_up)
{
	double result = (double)value * scale;
	result += result < 0 ? -round_up : round_up;
	if (result >= (double)INT64_MAX)
		return INT64_MAX;
	return result <= (double)INT64_MIN ? INT64_MIN : (int64_t)result;
}

#define EXP_TERMS 24
#define EXP_LOWEST 746.0 /* exp(-746) rounds to 0 */
#define LN_2 0.693147180559945309417232121458176568L

/* exp(-x), x > 0, within a rounding. Not libm's: the loader would map that into the program. */
static double exp_of_negative(double x)
{
	if (x > EXP_LOWEST)
		return 0;
	int halvings = (int)((long double)x / LN_2 + 0.5L);
	long double rest = halvings * LN_2 - (long double)x, term = 1, sum = 1;
	for (int i = 1; i <= EXP_TERMS; i++) { /* |rest| < 0.35 */
		term *= rest / i;
		sum += term;
	}
	return (double)ldexpl(sum, -halvings);
}

double pa_heap_scale_rounding(const struct pa_stack *stack, int64_t size_bytes)
{
	uint64_t bucket = pa_hash_table_mix(stack->hash, (uint64_t)size_bytes);
	return (double)(pa_hash_table_hash(bucket) >> 32) / (double)(UINT64_C(1) << 32);
}

void pa_heap_scale_estimate(int64_t count, int64_t bytes, int64_t rate, double round_up,
	int64_t *scaled_count, int64_t *scaled_bytes)
{
	PA_ASSERT(round_up >= 0 && round_up < 1);
	*scaled_count = count;
	*scaled_bytes = bytes;
	if (rate <= 1)
		return;
	/* As in Go: without a size there is no average to scale by. */
	if (count == 0 || bytes == 0) {
		*scaled_count = *scaled_bytes = 0;
		return;
	}
	double average = (double)bytes / (double)count;
	if (average <= 0)
		return;
	double scale = 1 / (1 - exp_of_negative(average / (double)rate));
	*scaled_count = scaled_value(count, scale, round_up);
	*scaled_bytes = scaled_value(bytes, scale, 0);
}

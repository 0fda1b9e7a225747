/* SPDX-License-Identifier: Apache-2.0 */
#include "heap_scale.h"

#include <math.h>

#include "../base/hash_table.h"

static int64_t scaled_value(int64_t value, double scale, double round_up)
{
	double result = (double)value * scale;
	result += result < 0 ? -round_up : round_up;
	if (result >= (double)INT64_MAX)
		return INT64_MAX;
	return result <= (double)INT64_MIN ? INT64_MIN : (int64_t)result;
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
	double scale = 1 / (1 - exp(-average / (double)rate));
	*scaled_count = scaled_value(count, scale, round_up);
	*scaled_bytes = scaled_value(bytes, scale, 0);
}

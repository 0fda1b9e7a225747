/* SPDX-License-Identifier: Apache-2.0 */
#include "heap_scale.h"

#include <math.h>

static int64_t scaled_value(int64_t value, double scale)
{
	double result = (double)value * scale;
	if (result >= (double)INT64_MAX)
		return INT64_MAX;
	return result <= (double)INT64_MIN ? INT64_MIN : (int64_t)result;
}

void pa_heap_scale_estimate(int64_t count, int64_t bytes, int64_t rate, int64_t *scaled_count,
	int64_t *scaled_bytes)
{
	/* As in Go: without a size there is no average to scale by. */
	if (count == 0 || bytes == 0) {
		*scaled_count = *scaled_bytes = 0;
		return;
	}
	*scaled_count = count;
	*scaled_bytes = bytes;
	double average = (double)bytes / (double)count;
	if (rate <= 1 || average <= 0)
		return;
	double scale = 1 / (1 - exp(-average / (double)rate));
	*scaled_count = scaled_value(count, scale);
	*scaled_bytes = scaled_value(bytes, scale);
}

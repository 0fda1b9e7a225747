#include "scale.h"

#include <math.h>

static int64_t scaled(int64_t value, double scale)
{
	double result = (double)value * scale;
	if (result >= (double)INT64_MAX)
		return INT64_MAX;
	return result <= (double)INT64_MIN ? INT64_MIN : (int64_t)result;
}

void pa_scale_heap(int64_t count, int64_t bytes, int64_t rate, int64_t *scaled_count,
	int64_t *scaled_bytes)
{
	/* As in Go: what has no size has no average to scale by. */
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
	*scaled_count = scaled(count, scale);
	*scaled_bytes = scaled(bytes, scale);
}

/*
 * What sampled allocations stand for.
 *
 * Context: PA_AGENT; a pure function.
 */
#ifndef PA_SCALE_H
#define PA_SCALE_H

#include "../base/base.h"

/*
 * Scale of one heap sample: how many objects and bytes the unscaled values[...] stand for, by Go's
 * 1 / (1 - exp(-average size / rate)). rate <= 1: unchanged.
 */
PA_AGENT void pa_scale_heap(int64_t count, int64_t bytes, int64_t rate,
	int64_t *scaled_count, int64_t *scaled_bytes);

#endif

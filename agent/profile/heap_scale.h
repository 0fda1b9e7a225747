/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scaling of sampled allocations.
 *
 * Context: PA_AGENT, any thread; a pure function.
 */
#ifndef PA_HEAP_SCALE_H
#define PA_HEAP_SCALE_H

#include "../base/base.h"

/*
 * Estimates the objects and bytes that a sample of unscaled count and bytes represents, with Go's
 * factor 1 / (1 - exp(-average size / rate)). rate <= 1: unchanged.
 */
PA_AGENT void pa_heap_scale_estimate(int64_t count, int64_t bytes, int64_t rate,
	int64_t *scaled_count, int64_t *scaled_bytes);

#endif

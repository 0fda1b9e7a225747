/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scaling of sampled allocations.
 *
 * A sampled object of 512 KiB stands for 1.58 of them at the default rate. Go cuts the fraction
 * off: where most objects have a size of their own, each is a bucket, and a third of them are
 * missing. Here a fraction of 0.58 is rounded up in 0.58 of the buckets, always in the same ones:
 * their sum is right, and a bucket that does not change has the same number in all profiles.
 *
 * Context: PA_AGENT, any thread; pure functions.
 */
#ifndef PA_HEAP_SCALE_H
#define PA_HEAP_SCALE_H

#include "../base/base.h"
#include "../stacks/stack_table.h"

/*
 * Estimates the objects and bytes that a sample of unscaled count and bytes represents, with Go's
 * factor 1 / (1 - exp(-average size / rate)). rate <= 1: unchanged. A fraction of an object counts
 * as one if it is more than 1 - round_up; 0: never, as in Go.
 */
PA_AGENT void pa_heap_scale_estimate(int64_t count, int64_t bytes, int64_t rate, double round_up,
	int64_t *scaled_count, int64_t *scaled_bytes);

/* round_up of the bucket of objects of that size with that stack: evenly distributed in [0, 1). */
PA_AGENT double pa_heap_scale_rounding(const struct pa_stack *stack, int64_t size_bytes);

#endif

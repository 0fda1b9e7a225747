/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Difference of two snapshots of the same profile.
 *
 * Context: PA_AGENT, any of our threads; a pure function. No lock. Memory: one mapping.
 */
#ifndef PA_DELTA_H
#define PA_DELTA_H

#include "snapshot.h"

/*
 * after - before, for each stack, size label, thread, its labels and waiter; samples that are zero
 * in all values are left out, and values may be negative (more was freed than allocated). Moment,
 * period and comments are after's; the duration is the time between the two. The caller owns it and
 * frees it with pa_snapshot_free, before those two: what it says of threads lies in them. NULL: out
 * of memory.
 */
PA_AGENT struct pa_snapshot *pa_delta(const struct pa_snapshot *before,
	const struct pa_snapshot *after);

/* The same profile, samples of the same key as one. Memory as of pa_delta. */
PA_AGENT struct pa_snapshot *pa_delta_merge(const struct pa_snapshot *snapshot);

#endif

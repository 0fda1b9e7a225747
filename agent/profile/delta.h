/*
 * What happened between two snapshots of the same profile.
 *
 * Context: PA_AGENT; a pure function, any thread of ours. Memory comes from the kernel.
 */
#ifndef PA_DELTA_H
#define PA_DELTA_H

#include "snapshot.h"

/*
 * after - before, for each stack, size label, thread and its labels; samples that are zero in all
 * values are left out, and values may be negative (more was freed than allocated). Moment, period
 * and comments are after's; the duration is the time between the two. The caller owns it and frees
 * it with pa_snapshot_free, before those two: what it says of threads lies in them. NULL: out of
 * memory.
 */
PA_AGENT struct pa_snapshot *pa_delta(const struct pa_snapshot *before,
	const struct pa_snapshot *after);

#endif

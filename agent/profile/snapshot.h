/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: immutable copies of one profile at one time.
 *
 * Context: PA_AGENT, any of our threads. No lock. The owner of a snapshot frees it. Stacks belong
 * to the stack table and are never freed, or (CPU) live as long as the snapshot and those made of
 * it; thread data of a thread dump (including names) lives as long as the snapshot. Encoders are
 * pure functions of a snapshot.
 */
#ifndef PA_SNAPSHOT_H
#define PA_SNAPSHOT_H

#include "../record/labels.h"
#include "memstats.h"
#include "profile_ops.h"
#include "../stacks/stack_table.h"
#include "thread_info.h"

struct pa_sample {
	const struct pa_stack *stack;
	int64_t values
		[PA_PROFILE_OPS_VALUES]; /* in the order of the kind's types; heap: unscaled */
	int64_t bytes_label;             /* heap and allocs: object size of the bucket; otherwise -1
					  */
	int32_t tid;                     /* CPU and goroutine: the thread; otherwise 0 */
	const char *thread;              /* CPU and goroutine: its name, UTF-8; otherwise NULL */
	const struct pa_labels *labels;  /* CPU and goroutine: labels of the thread; otherwise NULL
					  */
	const struct pa_stack *waiter;   /* mutex, charged to a wakeup of a futex: a waiter's
	                                    stack, which tells locks from conditions;
	                                    else NULL */
	const struct pa_thread_info
		*info; /* goroutine; otherwise NULL. Lives as long as the snapshot */
};

struct pa_snapshot {
	const struct pa_profile_ops *kind;
	int64_t time_ns;     /* wall clock: start of a CPU profile, time of any other */
	int64_t duration_ns; /* 0: not an interval */
	int64_t period;      /* of the period type: heap rate in bytes, ns per CPU tick */
	int64_t fraction;    /* mutex: one in this many was recorded; otherwise 0 */
	int64_t waited_ns;   /* goroutine: as in struct pa_thread_dump; otherwise 0 */
	size_t sample_count;
	struct pa_sample *samples;
	size_t comment_count; /* losses so far, one line each: "dropped 3: allocations ..." */
	char **comments;
	struct pa_memstats
		memory; /* heap and allocs that are taken for their text: the process; else zeros */
	size_t bytes;   /* of its single mapping, in whole pages */
	bool holds_passing; /* counted in stacks/passing_holders.h */
};

/* One mapping for the snapshot and all that it points to; zeros, but for its size. NULL: no memory.
 * The owner of the new snapshot keeps bytes in it. */
PA_APP struct pa_snapshot *pa_snapshot_new(size_t bytes);

/* NULL is ignored. */
PA_APP void pa_snapshot_free(struct pa_snapshot *snapshot);

#endif

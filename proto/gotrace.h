/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writer of execution traces: takes events of the program's threads, writes a trace for `go tool
 * trace`. A thread is a goroutine, a wait is one of its blocking events, and the P's are rows in
 * which threads run.
 *
 * Readers reject a trace that contains an impossible event: a goroutine that runs twice, an effect
 * before its cause, an event of a goroutine that has ended. So no event is written as it stands:
 * each goes through the writer's table of threads, which knows the possible next events and inserts
 * missing ones. Events may be lost, late or wrong; the trace stays valid.
 *
 * Context: PA_AGENT, one thread; pa_gotrace_write_tables on the render thread (it symbolizes),
 * after pa_gotrace_finish. No lock. Memory: one table entry per thread (65,536 at most), the
 * look-ahead, and a number per distinct stack. Bytes are streamed to the sink; names of stacks
 * follow at the end. When full: the trace ends and says so.
 */
#ifndef PA_GOTRACE_H
#define PA_GOTRACE_H

#include "../agent/profile/trace_queue.h"
#include "encode.h"

/* A trace ends at the first of these limits: readers need 300 bytes of memory per event. */
#define PA_GOTRACE_MAX_BYTES ((uint64_t)32 << 20)
#define PA_GOTRACE_RECORDS_MAX 5000000u

#define PA_GOTRACE_MAX_THREADS 65536u

struct pa_gotrace;

/* NULL: no memory. sink: kept, used by all functions but pa_gotrace_write_tables. */
PA_AGENT struct pa_gotrace *pa_gotrace_new(const struct pa_sink *sink);
PA_AGENT void pa_gotrace_free(struct pa_gotrace *trace);

/* The process that the trace is of. */
struct pa_gotrace_process {
	int32_t pid;         /* its only thread, where no thread is known */
	int32_t writer_tid;  /* the agent's thread that writes: has a row of its own */
	uint64_t processors; /* that it may run on */
};

/*
 * Writes the header and the state of all threads at start_ns (CLOCK_MONOTONIC): a snapshot of
 * pa_goroutine_profile with details, or NULL. Earlier events count as of that time.
 */
PA_AGENT void pa_gotrace_begin(struct pa_gotrace *trace, const struct pa_gotrace_process *process,
	const struct pa_snapshot *threads, int64_t start_ns);

/* Adds items as pa_trace_queue_read returns them. */
PA_AGENT void pa_gotrace_feed(struct pa_gotrace *trace, const struct pa_trace_queue_item *items,
	size_t count);

/* The trace has to end: a limit was reached or the sink failed. */
PA_AGENT bool pa_gotrace_is_over(const struct pa_gotrace *trace);

/* Ends all running threads. lost: number of missing events, noted in the trace, as is a limit that
 * ended it. Returns 0 or -ECANCELED (the sink failed). */
PA_AGENT int pa_gotrace_finish(struct pa_gotrace *trace, int64_t end_ns, uint64_t lost);

/* Writes the stacks and their names, which complete the trace. Returns 0, -ECANCELED or -ENOMEM. */
PA_AGENT int pa_gotrace_write_tables(struct pa_gotrace *trace, const struct pa_sink *sink);

/* Statistics. */
struct pa_gotrace_stats {
	uint64_t bytes, records; /* written so far */
	uint32_t threads;        /* seen */
	size_t memory;           /* bytes that the writer uses now */
};
PA_AGENT struct pa_gotrace_stats pa_gotrace_stats(const struct pa_gotrace *trace);

#endif

/*
 * The writer of execution traces: events of a program's threads in, bytes that `go tool trace`
 * opens out. A thread is a goroutine, a wait is one of its blocking events, and the P's are rows in
 * which threads run.
 *
 * Readers refuse a trace in which anything is impossible: a goroutine that runs twice, an effect
 * before its cause, an event of one that has ended. So nothing that is written is taken from an
 * event as it stands: each goes through the writer's own table of threads, which knows what may
 * come next and puts in what is missing. Events may be lost, late or false; the trace stays valid.
 *
 * Memory is bounded: a table entry a thread (65,536 at most), the look-ahead, and a number for each
 * distinct stack. Bytes stream to the sink; names of stacks follow at the end.
 *
 * Context: PA_AGENT, one thread; _tables on the render thread (it symbolizes), after _finish.
 */
#ifndef PA_TRACE_H
#define PA_TRACE_H

#include "../agent/profile/tracer.h"
#include "encode.h"

/* A trace ends early at the first of these: readers need 300 bytes of memory an event. */
#define PA_TRACE_BYTES_MAX ((uint64_t)32 << 20)
#define PA_TRACE_RECORDS_MAX 5000000u

#define PA_TRACE_THREADS_MAX 65536u

struct pa_trace;

/* NULL: no memory. sink: kept, for all but _tables. */
PA_AGENT struct pa_trace *pa_trace_new(const struct pa_sink *sink);
PA_AGENT void pa_trace_free(struct pa_trace *trace);

/*
 * The header, and what all threads do at start_ns (CLOCK_MONOTONIC): a snapshot of
 * PA_KIND_GOROUTINE with details, or NULL. Earlier events are taken as if of that moment.
 */
PA_AGENT void pa_trace_begin(struct pa_trace *trace, const struct pa_snapshot *threads,
	int64_t start_ns);

/* As pa_tracer_read gives them. */
PA_AGENT void pa_trace_feed(struct pa_trace *trace, const struct pa_tracer_item *items,
	size_t count);

/* The trace has to end: one of the limits above was reached, or the sink said stop. */
PA_AGENT bool pa_trace_is_over(const struct pa_trace *trace);

/*
 * Ends all that runs. lost: events that are missing, which the trace then says, as it does when a
 * limit ended it. 0 or -ECANCELED (the sink said stop).
 */
PA_AGENT int pa_trace_finish(struct pa_trace *trace, int64_t end_ns, uint64_t lost);

/* The stacks and their names, which complete the trace. 0, -ECANCELED, -ENOMEM. */
PA_AGENT int pa_trace_tables(struct pa_trace *trace, const struct pa_sink *sink);

/* Statistics. */
struct pa_trace_stats {
	uint64_t bytes, records; /* written so far */
	uint32_t threads;        /* seen */
};
PA_AGENT struct pa_trace_stats pa_trace_stats(const struct pa_trace *trace);

#endif

/*
 * The rows of a trace: its P's, in each of which one thread runs at a time.
 *
 * With few threads each keeps a row of its own; from PA_TRACE_ROWS on, who starts to run takes any
 * that is idle, since readers get slow with the number of rows. Row 0 is the agent's: what nobody
 * in particular does is done there.
 *
 * Context: PA_AGENT, one thread.
 */
#ifndef PA_TRACE_ROWS_H
#define PA_TRACE_ROWS_H

#include "grow.h"
#include "trace_bytes.h"

#define PA_TRACE_ROWS 200u

struct pa_trace_row {
	int32_t tid;      /* whose it was last; 0: nobody's */
	bool started;
	bool running;     /* a thread runs in it */
	bool listed;      /* in the list of those that may be taken */
};

struct pa_trace_rows {
	struct pa_trace_bytes *bytes;
	struct pa_grow at;   /* struct pa_trace_row */
	uint32_t count;
	struct pa_grow idle; /* uint32_t: rows that may be taken, if they are still idle */
	uint32_t idle_count;
};

/* *rows is zeroed before. False: no memory. */
PA_AGENT bool pa_trace_rows_init(struct pa_trace_rows *rows, struct pa_trace_bytes *bytes);
PA_AGENT void pa_trace_rows_free(struct pa_trace_rows *rows);

/* A row for the thread, which runs in it from ts on; before: the one that it had. 0: no memory. */
PA_AGENT uint32_t pa_trace_rows_take(struct pa_trace_rows *rows, int32_t tid, uint32_t before,
	uint64_t ts);

/* The thread does not run in it any more. */
PA_AGENT void pa_trace_rows_leave(struct pa_trace_rows *rows, uint32_t row);

/* And stops it: the thread has ended, or is in a system call. */
PA_AGENT void pa_trace_rows_stop(struct pa_trace_rows *rows, uint32_t row, uint64_t ts, bool ended);

/* Stops all, when no thread runs any more. */
PA_AGENT void pa_trace_rows_stop_all(struct pa_trace_rows *rows, uint64_t ts);

/* Row 0 is started, by a thread of the agent. */
PA_AGENT void pa_trace_rows_start_own(struct pa_trace_rows *rows, int32_t tid, uint64_t ts);

#endif

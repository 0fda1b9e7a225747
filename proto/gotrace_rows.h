/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a trace: its P's, each of which runs one thread at a time.
 *
 * With few threads each keeps its own row; beyond PA_GOTRACE_ROWS a starting thread takes any idle
 * row, because readers slow down with the number of rows. Row 0 belongs to the agent: events of no
 * particular thread are written there.
 *
 * Context: PA_AGENT, one thread. No lock. Without memory: take returns 0.
 */
#ifndef PA_GOTRACE_ROWS_H
#define PA_GOTRACE_ROWS_H

#include "scratch.h"
#include "gotrace_bytes.h"

#define PA_GOTRACE_ROWS 200u

struct pa_gotrace_row {
	int32_t tid; /* last thread; 0: none */
	bool started;
	bool running; /* a thread runs in it */
	bool listed;  /* in the list of idle rows */
};

struct pa_gotrace_rows {
	struct pa_gotrace_bytes *bytes;
	struct pa_scratch at; /* struct pa_gotrace_row */
	uint32_t count;
	struct pa_scratch idle; /* uint32_t: rows to take, if they are still idle */
	uint32_t idle_count;
};

/* *rows must be zeroed. False: no memory. */
PA_AGENT bool pa_gotrace_rows_init(struct pa_gotrace_rows *rows, struct pa_gotrace_bytes *bytes);
PA_AGENT void pa_gotrace_rows_free(struct pa_gotrace_rows *rows);

/*
 * Returns a row for the thread, which runs in it from ts on; before: its former row. 0: no memory.
 */
PA_AGENT uint32_t pa_gotrace_rows_take(struct pa_gotrace_rows *rows, int32_t tid, uint32_t before,
	uint64_t ts);

/* The thread no longer runs in the row. */
PA_AGENT void pa_gotrace_rows_leave(struct pa_gotrace_rows *rows, uint32_t row);

/* Also stops the row: the thread has ended, or is in a system call. */
PA_AGENT void pa_gotrace_rows_stop(struct pa_gotrace_rows *rows, uint32_t row, uint64_t ts,
	bool ended);

/* Stops all rows. No thread may run. */
PA_AGENT void pa_gotrace_rows_stop_all(struct pa_gotrace_rows *rows, uint64_t ts);

/* Starts row 0 with a thread of the agent. */
PA_AGENT void pa_gotrace_rows_start_own(struct pa_gotrace_rows *rows, int32_t tid, uint64_t ts);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "gotrace_rows.h"

static struct pa_gotrace_row *row_at(struct pa_gotrace_rows *rows, uint32_t row)
{
	return (struct pa_gotrace_row *)rows->at.at + row;
}

static void start_row(struct pa_gotrace_rows *rows, uint32_t row, int32_t tid, uint64_t ts)
{
	struct pa_gotrace_row *at = row_at(rows, row);
	at->started = true;
	at->tid = tid;
	pa_gotrace_bytes_event(rows->bytes, row, ts, PA_GOTRACE_PROC_START,
		(const uint64_t[]){ (uint64_t)tid }, 1);
}

static void stop_row(struct pa_gotrace_rows *rows, uint32_t row, uint64_t ts)
{
	struct pa_gotrace_row *at = row_at(rows, row);
	if (at->started)
		pa_gotrace_bytes_event(rows->bytes, row, ts, PA_GOTRACE_PROC_STOP, NULL, 0);
	at->started = false;
}

/* Makes room for one more row and list entry: a row is in the list once at most. */
static bool add_trace_row(struct pa_gotrace_rows *rows)
{
	if (!pa_scratch(&rows->at, (rows->count + (size_t)1) * sizeof(struct pa_gotrace_row)) ||
		!pa_scratch(&rows->idle, (rows->count + (size_t)1) * sizeof(uint32_t)))
		return false;
	*row_at(rows, rows->count++) = (struct pa_gotrace_row){ 0 };
	return true;
}

bool pa_gotrace_rows_init(struct pa_gotrace_rows *rows, struct pa_gotrace_bytes *bytes)
{
	rows->bytes = bytes;
	return add_trace_row(rows);
}

void pa_gotrace_rows_free(struct pa_gotrace_rows *rows)
{
	pa_scratch_free(&rows->at);
	pa_scratch_free(&rows->idle);
}

static void list_row(struct pa_gotrace_rows *rows, uint32_t row)
{
	struct pa_gotrace_row *at = row_at(rows, row);
	if (at->listed)
		return;
	at->listed = true;
	((uint32_t *)rows->idle.at)[rows->idle_count++] = row;
}

/* 0: none. A listed row may be in use again by its last thread. */
static uint32_t unlist_row(struct pa_gotrace_rows *rows)
{
	while (rows->idle_count) {
		uint32_t row = ((uint32_t *)rows->idle.at)[--rows->idle_count];
		row_at(rows, row)->listed = false;
		if (!row_at(rows, row)->running)
			return row;
	}
	return 0;
}

static uint32_t find_idle_row(struct pa_gotrace_rows *rows, int32_t tid, uint32_t before)
{
	if (before && !row_at(rows, before)->running && row_at(rows, before)->tid == tid)
		return before;
	uint32_t row = unlist_row(rows);
	if (row)
		return row;
	return add_trace_row(rows) ? rows->count - 1 : 0;
}

uint32_t pa_gotrace_rows_take(struct pa_gotrace_rows *rows, int32_t tid, uint32_t before,
	uint64_t ts)
{
	uint32_t row = find_idle_row(rows, tid, before);
	if (!row)
		return 0;
	if (row_at(rows, row)->tid != tid)
		stop_row(rows, row, ts);
	if (!row_at(rows, row)->started)
		start_row(rows, row, tid, ts);
	row_at(rows, row)->running = true;
	return row;
}

void pa_gotrace_rows_leave(struct pa_gotrace_rows *rows, uint32_t row)
{
	row_at(rows, row)->running = false;
	if (rows->count > PA_GOTRACE_ROWS)
		list_row(rows, row);
}

void pa_gotrace_rows_stop(struct pa_gotrace_rows *rows, uint32_t row, uint64_t ts, bool ended)
{
	pa_gotrace_rows_leave(rows, row);
	stop_row(rows, row, ts);
	if (!ended)
		return;
	row_at(rows, row)->tid = 0;
	list_row(rows, row);
}

void pa_gotrace_rows_stop_all(struct pa_gotrace_rows *rows, uint64_t ts)
{
	for (uint32_t row = 0; row < rows->count; row++)
		stop_row(rows, row, ts);
}

void pa_gotrace_rows_start_own(struct pa_gotrace_rows *rows, int32_t tid, uint64_t ts)
{
	start_row(rows, 0, tid, ts);
}

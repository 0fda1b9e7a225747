#include "trace_rows.h"

static struct pa_trace_row *row_at(struct pa_trace_rows *rows, uint32_t row)
{
	return (struct pa_trace_row *)rows->at.at + row;
}

static void start(struct pa_trace_rows *rows, uint32_t row, int32_t tid, uint64_t ts)
{
	struct pa_trace_row *at = row_at(rows, row);
	at->started = true;
	at->tid = tid;
	pa_trace_bytes_event(rows->bytes, row, ts, PA_TRACE_PROC_START,
		(const uint64_t[]){ (uint64_t)tid }, 1);
}

static void stop(struct pa_trace_rows *rows, uint32_t row, uint64_t ts)
{
	struct pa_trace_row *at = row_at(rows, row);
	if (at->started)
		pa_trace_bytes_event(rows->bytes, row, ts, PA_TRACE_PROC_STOP, NULL, 0);
	at->started = false;
}

/* Room for one more of each: a row is in the list once at most. */
static bool add_row(struct pa_trace_rows *rows)
{
	if (!pa_grow(&rows->at, (rows->count + (size_t)1) * sizeof(struct pa_trace_row)) ||
		!pa_grow(&rows->idle, (rows->count + (size_t)1) * sizeof(uint32_t)))
		return false;
	*row_at(rows, rows->count++) = (struct pa_trace_row){ 0 };
	return true;
}

bool pa_trace_rows_init(struct pa_trace_rows *rows, struct pa_trace_bytes *bytes)
{
	rows->bytes = bytes;
	return add_row(rows);
}

void pa_trace_rows_free(struct pa_trace_rows *rows)
{
	pa_grow_free(&rows->at);
	pa_grow_free(&rows->idle);
}

static void list(struct pa_trace_rows *rows, uint32_t row)
{
	struct pa_trace_row *at = row_at(rows, row);
	if (at->listed)
		return;
	at->listed = true;
	((uint32_t *)rows->idle.at)[rows->idle_count++] = row;
}

/* 0: none. Its last thread may have come back to one that is in the list. */
static uint32_t unlist(struct pa_trace_rows *rows)
{
	while (rows->idle_count) {
		uint32_t row = ((uint32_t *)rows->idle.at)[--rows->idle_count];
		row_at(rows, row)->listed = false;
		if (!row_at(rows, row)->running)
			return row;
	}
	return 0;
}

static uint32_t find(struct pa_trace_rows *rows, int32_t tid, uint32_t before)
{
	if (before && !row_at(rows, before)->running && row_at(rows, before)->tid == tid)
		return before;
	uint32_t row = unlist(rows);
	if (row)
		return row;
	return add_row(rows) ? rows->count - 1 : 0;
}

uint32_t pa_trace_rows_take(struct pa_trace_rows *rows, int32_t tid, uint32_t before, uint64_t ts)
{
	uint32_t row = find(rows, tid, before);
	if (!row)
		return 0;
	if (row_at(rows, row)->tid != tid)
		stop(rows, row, ts);
	if (!row_at(rows, row)->started)
		start(rows, row, tid, ts);
	row_at(rows, row)->running = true;
	return row;
}

void pa_trace_rows_leave(struct pa_trace_rows *rows, uint32_t row)
{
	row_at(rows, row)->running = false;
	if (rows->count > PA_TRACE_ROWS)
		list(rows, row);
}

void pa_trace_rows_stop(struct pa_trace_rows *rows, uint32_t row, uint64_t ts, bool ended)
{
	pa_trace_rows_leave(rows, row);
	stop(rows, row, ts);
	if (!ended)
		return;
	row_at(rows, row)->tid = 0;
	list(rows, row);
}

void pa_trace_rows_stop_all(struct pa_trace_rows *rows, uint64_t ts)
{
	for (uint32_t row = 0; row < rows->count; row++)
		stop(rows, row, ts);
}

void pa_trace_rows_start_own(struct pa_trace_rows *rows, int32_t tid, uint64_t ts)
{
	start(rows, 0, tid, ts);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/base/kept_pages.h"
#include "test/lib/c/trace_fixture.h"

#include "proto/gotrace_rows.h"
#include "proto/scratch.h"

static struct pa_gotrace_bytes bytes;
static struct pa_gotrace_rows rows;
static uint64_t ts;
static size_t mapped;

static int begin(void **unused)
{
	(void)unused;
	memset(&bytes, 0, sizeof(bytes));
	memset(&rows, 0, sizeof(rows));
	out.count = 0;
	mapped = pa_map_bytes();
	ts = 1;
	pa_gotrace_bytes_begin(&bytes, &sink);
	return pa_gotrace_rows_init(&rows, &bytes) ? 0 : -1;
}

static int end(void **unused)
{
	(void)unused;
	pa_gotrace_rows_free(&rows);
	pa_kept_pages_trim();
	assert_int_equal(pa_map_bytes(), mapped);
	return 0;
}

static uint32_t take(int32_t tid, uint32_t before)
{
	return pa_gotrace_rows_take(&rows, tid, before, ts++);
}

/* The records since the last call, without batches, as "Name row argument". */
static const char *written(void)
{
	static char text[256];
	static struct trace records;
	size_t used = 0;

	pa_gotrace_bytes_flush(&bytes);
	memset(&records, 0, sizeof(records));
	trace_parse(&records, out.bytes, out.count);
	text[0] = '\0';
	for (size_t i = 0; i < records.event_count && used < sizeof(text); i++) {
		const struct trace_event *e = &records.events[i];
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %lu %lu",
			i ? ", " : "", trace_shapes[e->type].name, e->p, e->args[0]);
	}
	trace_free(&records);
	out.count = TRACE_HEADER_BYTES;
	bytes.in_batch = false;
	return text;
}

static void few_threads_have_rows_of_their_own_from_1_on(void **unused)
{
	(void)unused;
	pa_gotrace_rows_start_own(&rows, 9, ts);
	assert_int_equal(take(101, 0), 1);
	assert_int_equal(take(102, 0), 2);
	pa_gotrace_rows_leave(&rows, 1);
	assert_int_equal(take(103, 0), 3);
	assert_string_equal(written(),
		"ProcStart 0 9, ProcStart 1 101, ProcStart 2 102, ProcStart 3 103");
	assert_int_equal(take(101, 1), 1);
	assert_string_equal(written(), "");
}

static void row_of_an_ended_thread_goes_to_the_next(void **unused)
{
	(void)unused;
	take(101, 0);
	take(102, 0);
	pa_gotrace_rows_stop(&rows, 1, ts, true);
	assert_int_equal(take(103, 0), 1);
	assert_string_equal(written(),
		"ProcStart 1 101, ProcStart 2 102, ProcStop 1 0, ProcStart 1 103");
	assert_int_equal(take(104, 0), 3);
}

static void row_of_a_thread_in_a_system_call_waits_for_it(void **unused)
{
	(void)unused;
	take(101, 0);
	pa_gotrace_rows_stop(&rows, 1, ts, false);
	assert_int_equal(take(102, 0), 2);
	written();
	assert_int_equal(take(101, 1), 1);
	assert_string_equal(written(), "ProcStart 1 101");
}

/* A thread with that id was there before: the row is another one's now. */
static void row_that_changed_hands_is_not_come_back_to(void **unused)
{
	(void)unused;
	take(101, 0);
	pa_gotrace_rows_stop(&rows, 1, ts, true);
	take(102, 0);
	assert_int_equal(take(101, 1), 2);
}

static void fill(void)
{
	for (int32_t i = 1; i <= (int32_t)PA_GOTRACE_ROWS; i++)
		assert_int_equal(take(1000 + i, 0), i);
	written();
}

static void many_threads_share_what_is_idle(void **unused)
{
	(void)unused;
	fill();
	pa_gotrace_rows_leave(&rows, 7);
	assert_int_equal(take(5000, 0), 7);
	assert_string_equal(written(), "ProcStop 7 0, ProcStart 7 5000");
	assert_int_equal(take(1007, 7), PA_GOTRACE_ROWS + 1);
}

static void row_that_was_left_is_come_back_to_while_it_is_idle(void **unused)
{
	(void)unused;
	fill();
	pa_gotrace_rows_leave(&rows, 7);
	pa_gotrace_rows_leave(&rows, 8);
	assert_int_equal(take(1008, 8), 8);
	assert_string_equal(written(), "");
	/* In the list there is 8 still, which is taken. */
	assert_int_equal(take(5000, 0), 7);
	assert_int_equal(take(5001, 0), PA_GOTRACE_ROWS + 1);
}

/* Against a table of the thread that runs on each P. */
static void long_random_history_never_gives_a_row_to_two(void **unused)
{
	enum { THREADS = 600, STEPS = 60000 };
	static uint32_t row_of[THREADS], before[THREADS], random;
	static int32_t user[THREADS + 1];

	(void)unused;
	random = 4711;
	for (int step = 0; step < STEPS; step++) {
		random = random * 1664525 + 1013904223;
		uint32_t i = (random >> 8) % THREADS, row = row_of[i];
		if (!row) {
			row = take((int32_t)i + 1, before[i]);
			assert_true(row >= 1 && row <= THREADS);
			assert_int_equal(user[row], 0);
			user[row] = (int32_t)i + 1;
			row_of[i] = before[i] = row;
			continue;
		}
		if (random >> 28 < 10)
			pa_gotrace_rows_leave(&rows, row);
		else
			pa_gotrace_rows_stop(&rows, row, ts, random >> 28 < 13);
		user[row] = 0;
		row_of[i] = 0;
	}
	assert_true(rows.idle_count <= rows.count);
}

static void all_rows_that_are_started_stop_at_the_end(void **unused)
{
	(void)unused;
	pa_gotrace_rows_start_own(&rows, 9, ts);
	take(101, 0);
	take(102, 0);
	pa_gotrace_rows_leave(&rows, 1);
	pa_gotrace_rows_stop(&rows, 2, ts, true);
	written();
	pa_gotrace_rows_stop_all(&rows, ts);
	assert_string_equal(written(), "ProcStop 0 0, ProcStop 1 0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(few_threads_have_rows_of_their_own_from_1_on),
		TEST(row_of_an_ended_thread_goes_to_the_next),
		TEST(row_of_a_thread_in_a_system_call_waits_for_it),
		TEST(row_that_changed_hands_is_not_come_back_to),
		TEST(many_threads_share_what_is_idle),
		TEST(row_that_was_left_is_come_back_to_while_it_is_idle),
		TEST(long_random_history_never_gives_a_row_to_two),
		TEST(all_rows_that_are_started_stop_at_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

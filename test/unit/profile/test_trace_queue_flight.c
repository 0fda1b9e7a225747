/* SPDX-License-Identifier: Apache-2.0 */
/* The flight recorder of agent/profile/trace_queue.c. The tests are in an order: it stays on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/profile/snapshot_take.h"
#include "agent/profile/tables_lock.h"
#include "test/lib/c/trace_queue_fixture.h"

#define FLIGHT_ITEMS 1024 /* the smallest that there is */

static void flight_on(void **unused)
{
	struct pa_trace_queue_flight flight;
	(void)unused;
	pa_trace_queue_flight_boot(0);
	assert_false(pa_trace_queue_flight_begin(&flight));
	assert_int_equal(pa_trace_queue_flight_read(&flight, items, PA_COUNT(items)), 0);
	pa_trace_queue_flight_boot(1);
	assert_true(pa_load_acquire(&switched_on));
	assert_true(pa_trace_queue_is_on());
}

/* To items. */
static size_t copy_flight(void)
{
	struct pa_trace_queue_flight flight;
	assert_true(pa_trace_queue_flight_begin(&flight));
	size_t count = pa_trace_queue_flight_read(&flight, items, PA_COUNT(items));
	assert_int_equal(flight.lost, 0);
	assert_int_equal(flight.event, flight.event_end);
	assert_int_equal(pa_trace_queue_flight_read(&flight, items + count, 1), 0);
	return count;
}

static void flight_recorder_keeps_the_newest(void **unused)
{
	(void)unused;
	for (uint64_t i = 1; i <= 100; i++)
		send(PA_TRACE_EVENTS_WOKE, TID, i);
	size_t count = copy_flight();
	assert_int_equal(items[count - 1].link, 100);
	assert_int_equal(items[count - 100].link, 1);
	for (uint64_t i = 101; i <= 5000; i++)
		send(PA_TRACE_EVENTS_WOKE, TID, i);
	assert_int_equal(copy_flight(), FLIGHT_ITEMS);
	for (size_t i = 0; i < FLIGHT_ITEMS; i++)
		assert_int_equal(items[i].link, 5000 - FLIGHT_ITEMS + 1 + i);
}

/* Records of all lengths, until it was overwritten many times. */
static void flight_recorder_keeps_whole_records(void **unused)
{
	static char text[PA_TRACE_EVENTS_TEXT_BYTES];
	(void)unused;
	memset(text, 'x', sizeof(text) - 1);
	for (uint64_t i = 1; i <= 3000; i++) {
		send_text(TID, text + 7 * i % 999);
		send(PA_TRACE_EVENTS_LOG, TID, i);
		send(PA_TRACE_EVENTS_WOKE, TID, i);
		if (i % 100 && i > 50)
			continue;
		size_t count = copy_flight(), at = 0;
		assert_true(count <= FLIGHT_ITEMS);
		uint64_t last = items[0].link;
		for (; at < count; at += 1 + pa_trace_queue_text_items(&items[at])) {
			/* 1: before it is what another test left. */
			uint64_t link = items[at].link;
			assert_true(link == last || link == last + 1 || link == 1);
			last = link;
			if (items[at].op == PA_TRACE_EVENTS_LOG)
				assert_text(&items[at], text + 7 * last % 999);
		}
		assert_int_equal(at, count);
		assert_int_equal(last, i);
	}
}

static void fill_flight(uint64_t from, size_t count)
{
	for (uint64_t i = 0; i < count; i++)
		send(PA_TRACE_EVENTS_WOKE, TID, from + i);
	pa_snapshot_sync();
}

static void flight_recorder_is_read_in_pieces(void **unused)
{
	struct pa_trace_queue_flight flight;
	uint64_t next = 1;
	(void)unused;
	fill_flight(1, FLIGHT_ITEMS);
	assert_true(pa_trace_queue_flight_begin(&flight));
	/* Not what comes after the begin; there is room only where it was read. */
	while (pa_trace_queue_flight_read(&flight, items, 100)) {
		assert_int_equal(items[0].link, next);
		next += 100;
		fill_flight(5000, 100);
	}
	assert_int_equal(flight.lost, 0);
	assert_int_equal(flight.at, flight.end);
}

static void what_is_overwritten_before_it_is_read_is_counted(void **unused)
{
	struct pa_trace_queue_flight flight;
	(void)unused;
	fill_flight(1, FLIGHT_ITEMS);
	assert_true(pa_trace_queue_flight_begin(&flight));
	assert_int_equal(pa_trace_queue_flight_read(&flight, items, 10), 10);
	fill_flight(5000, 30);
	assert_int_equal(pa_trace_queue_flight_read(&flight, items, 10), 10);
	assert_int_equal(items[0].link, 31);
	assert_int_equal(flight.lost, 20);
	/* More than all: what is there now is of later. */
	fill_flight(6000, 2 * FLIGHT_ITEMS);
	assert_int_equal(pa_trace_queue_flight_read(&flight, items, 10), 0);
	assert_int_equal(flight.lost, FLIGHT_ITEMS - 20);
	assert_int_equal(pa_trace_queue_flight_read(&flight, items, 10), 0);
	assert_int_equal(flight.lost, FLIGHT_ITEMS - 20);
}

/* An event is one, whatever its text takes; and a text is never cut. */
static void what_is_overwritten_counts_as_events(void **unused)
{
	static char text[PA_TRACE_EVENTS_TEXT_BYTES];
	struct pa_trace_queue_flight flight;
	(void)unused;
	memset(text, 'x', sizeof(text) - 1);
	for (uint64_t i = 1; i <= 100; i++) {
		send_text(TID, text);
		send(PA_TRACE_EVENTS_LOG, TID, i);
	}
	assert_true(pa_trace_queue_flight_begin(&flight));
	assert_int_equal(flight.event_end - flight.event, FLIGHT_ITEMS / 17);
	assert_int_equal(pa_trace_queue_flight_read(&flight, items, 40), 34);
	assert_text(&items[17], text);
	/* As much as three of them take, with what was free: two of these were read. */
	fill_flight(1, 3 * 17 + FLIGHT_ITEMS % 17);
	assert_int_equal(pa_trace_queue_flight_read(&flight, items, 40), 34);
	assert_int_equal(flight.lost, 1);
	assert_text(&items[0], text);
}

static void flight_recorder_goes_on_during_a_trace_and_after(void **unused)
{
	(void)unused;
	begin();
	send(PA_TRACE_EVENTS_WOKE, TID, 111);
	assert_int_equal(read_all(), 1);
	end();
	assert_true(pa_load_acquire(&switched_on));
	size_t count = copy_flight();
	assert_int_equal(items[count - 1].link, 111);
	send(PA_TRACE_EVENTS_WOKE, TID, 112);
	count = copy_flight();
	assert_int_equal(items[count - 1].link, 112);
}

static void forked_child_has_neither_trace_nor_flight(void **unused)
{
	(void)unused;
	begin();
	pa_tables_lock();
	pa_trace_queue_atfork_child();
	pa_tables_unlock();
	assert_false(pa_trace_queue_is_on());
	begin();
	send(PA_TRACE_EVENTS_WOKE, TID, 1);
	assert_int_equal(read_all(), 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flight_on),
		cmocka_unit_test(flight_recorder_keeps_the_newest),
		cmocka_unit_test(flight_recorder_keeps_whole_records),
		cmocka_unit_test(flight_recorder_is_read_in_pieces),
		cmocka_unit_test(what_is_overwritten_before_it_is_read_is_counted),
		cmocka_unit_test(what_is_overwritten_counts_as_events),
		cmocka_unit_test(flight_recorder_goes_on_during_a_trace_and_after),
		cmocka_unit_test(forked_child_has_neither_trace_nor_flight),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}

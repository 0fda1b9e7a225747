/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/base/arena.h"
#include "agent/base/clock.h"
#include "agent/profile/snapshot_take.h"
#include "agent/profile/tables_lock.h"
#include "test/lib/c/trace_queue_fixture.h"

static void record(size_t count)
{
	const struct pa_event event = event_of(PA_TRACE_EVENTS_WOKE, TID, 0);
	pa_tables_lock();
	for (size_t i = 0; i < count; i++)
		pa_trace_queue_record_locked(&event, NULL);
	pa_tables_unlock();
}

/* ---- the trace ---- */

static void events_come_out_in_the_order_of_the_ring(void **unused)
{
	(void)unused;
	begin();
	assert_true(pa_load_acquire(&switched_on));
	for (uint64_t i = 1; i <= 3000; i++)
		send(PA_TRACE_EVENTS_WOKE, TID + (int32_t)(i % 7), i);
	assert_int_equal(read_all(), 3000);
	for (uint64_t i = 1; i <= 3000; i++) {
		assert_int_equal(items[i - 1].link, i);
		assert_int_equal(items[i - 1].tid, TID + (int32_t)(i % 7));
		assert_int_equal(items[i - 1].op, PA_TRACE_EVENTS_WOKE);
		assert_null(items[i - 1].stack);
	}
	assert_int_equal(read_all(), 0);
	end();
	assert_false(pa_load_acquire(&switched_on));
}

static void item_has_all_of_its_event(void **unused)
{
	uintptr_t pc = PC(1);
	struct pa_event event = event_of(PA_TRACE_EVENTS_BLOCK, TID, 5);
	(void)unused;
	event.depth = 1;
	event.object = OBJECT(1);
	event.time_ns = 77;
	memcpy(event.name, "sixteen bytes no", sizeof(event.name));
	begin();
	send_event(event, &pc);
	assert_int_equal(read_all(), 1);
	assert_int_equal(items->op, PA_TRACE_EVENTS_BLOCK);
	assert_int_equal(items->wait, PA_TRACE_EVENTS_IN_JOIN);
	assert_int_equal(items->time_ns, 77);
	assert_int_equal(items->link, 5);
	assert_int_equal(items->object, OBJECT(1));
	assert_memory_equal(items->name, "sixteen bytes no", sizeof(items->name));
	assert_int_equal(pa_stack_table_loc(items->stack->locs[0])->raw_pc, pc);
	assert_null(items->entry);
	end();
}

static void threads_that_are_made_have_their_start_routine(void **unused)
{
	struct pa_event create = event_of(PA_TRACE_EVENTS_CREATE, TID, 5);
	struct pa_event started = event_of(PA_TRACE_EVENTS_START, TID, 5);
	(void)unused;
	create.object = started.object = PC(2);
	begin();
	send_event(create, NULL);
	send_event(started, NULL);
	started.object = 0;
	send_event(started, NULL);
	assert_int_equal(read_all(), 3);
	assert_int_equal(items[0].entry->depth, 1);
	assert_int_equal(pa_stack_table_loc(items[0].entry->locs[0])->pc, PC(2));
	assert_ptr_equal(items[1].entry, items[0].entry);
	assert_null(items[2].entry);
	end();
}

static void cpu_samples_are_in_the_trace(void **unused)
{
	(void)unused;
	begin();
	send_cpu(PC(3), TID, "worker", 1);
	assert_int_equal(read_all(), 1);
	assert_int_equal(items->op, PA_TRACE_EVENTS_TICK);
	assert_int_equal(items->tid, TID);
	assert_string_equal(items->name, "worker");
	assert_int_equal(pa_stack_table_loc(items->stack->locs[0])->raw_pc, PC(3));
	end();
}

static void our_own_threads_are_not(void **unused)
{
	(void)unused;
	begin();
	send(PA_TRACE_EVENTS_WOKE, AGENT_TID, 1);
	send_cpu(PC(3), AGENT_TID, "agent", 1);
	assert_int_equal(read_all(), 0);
	end();
}

static void second_trace_is_refused_and_one_after_it_is_not(void **unused)
{
	struct pa_snapshot *threads;
	(void)unused;
	begin();
	assert_int_equal(pa_trace_queue_begin(&threads), -EBUSY);
	send(PA_TRACE_EVENTS_WOKE, TID, 1);
	assert_int_equal(read_all(), 1);
	pa_trace_queue_stop();
	assert_int_equal(pa_trace_queue_begin(&threads), -EBUSY);
	pa_trace_queue_end();
	begin();
	assert_int_equal(read_all(), 0);
	end();
}

static void what_was_recorded_before_the_stop_can_be_read(void **unused)
{
	(void)unused;
	begin();
	send(PA_TRACE_EVENTS_WOKE, TID, 1);
	pa_trace_queue_stop();
	send(PA_TRACE_EVENTS_WOKE, TID, 2);
	assert_int_equal(read_all(), 1);
	assert_int_equal(items->link, 1);
	pa_trace_queue_end();
	send(PA_TRACE_EVENTS_WOKE, TID, 3);
	begin();
	pa_snapshot_sync();
	end();
}

static void full_queue_counts_what_it_loses(void **unused)
{
	uint64_t before = pa_load_relaxed(&counters.lost_trace_ring);
	(void)unused;
	begin();
	record(PA_TRACE_QUEUE_ITEMS + 50);
	assert_int_equal(pa_trace_queue_lost(), 50);
	assert_int_equal(pa_load_relaxed(&counters.lost_trace_ring) - before, 50);
	assert_int_equal(pa_trace_queue_read(items, 1000), 1000);
	record(1001);
	assert_int_equal(pa_trace_queue_lost(), 51);
	assert_int_equal(read_all(), PA_TRACE_QUEUE_ITEMS);
	end();
	begin();
	assert_int_equal(pa_trace_queue_lost(), 0);
	end();
}

static void memory_of_a_trace_is_given_back(void **unused)
{
	(void)unused;
	begin();
	end();
	size_t before = pa_map_bytes();
	for (int i = 0; i < 3; i++) {
		begin();
		end();
	}
	assert_int_equal(pa_map_bytes(), before);
}

/* ---- texts ---- */

static void text_follows_its_event(void **unused)
{
	static char text[PA_TRACE_EVENTS_TEXT_BYTES];
	(void)unused;
	memset(text, 'x', sizeof(text) - 1);
	begin();
	send_text(TID, text);
	send(PA_TRACE_EVENTS_LOG, TID, 1);
	send_text(TID, "short");
	send(PA_TRACE_EVENTS_TASK, TID, 2);
	send(PA_TRACE_EVENTS_TASK_END, TID, 3);
	assert_int_equal(read_all(), 1 + 16 + 1 + 1 + 1);
	assert_text(&items[0], text);
	assert_int_equal(items[17].link, 2);
	assert_text(&items[17], "short");
	assert_int_equal(items[19].link, 3);
	assert_int_equal(items[19].text_bytes, 0);
	end();
}

static void texts_of_threads_are_kept_apart(void **unused)
{
	(void)unused;
	begin();
	send_text(TID, "first");
	send_text(TID + 1, "second");
	send(PA_TRACE_EVENTS_WOKE, TID, 0);
	send(PA_TRACE_EVENTS_REGION, TID + 1, 2);
	send(PA_TRACE_EVENTS_REGION, TID, 1);
	assert_int_equal(read_all(), 5);
	assert_int_equal(items[0].text_bytes, 0);
	assert_text(&items[1], "second");
	assert_text(&items[3], "first");
	end();
}

/* The ring was full in that moment. */
static void text_whose_event_was_lost_is_not_anothers(void **unused)
{
	(void)unused;
	begin();
	send_text(TID, "lost");
	send_text(TID, "mine");
	send(PA_TRACE_EVENTS_REGION, TID, 1);
	send_text(TID, "and mine");
	send(PA_TRACE_EVENTS_REGION, TID, 2);
	assert_int_equal(read_all(), 4);
	assert_text(&items[0], "mine");
	assert_text(&items[2], "and mine");
	end();
}

static void too_many_texts_at_once_lose_the_oldest(void **unused)
{
	(void)unused;
	begin();
	for (int32_t i = 0; i < 17; i++)
		send_text(TID + i, "text");
	for (int32_t i = 0; i < 17; i++)
		send(PA_TRACE_EVENTS_REGION, TID + i, 1);
	assert_int_equal(read_all(), 1 + 16 * 2);
	assert_int_equal(items[0].text_bytes, 0);
	assert_text(&items[1], "text");
	end();
}

static void text_says_no_more_than_it_has(void **unused)
{
	uintptr_t word = 0x6161616161616161;
	struct pa_event event = event_of(PA_TRACE_EVENTS_TEXT, TID, 5000);
	(void)unused;
	event.depth = 1;
	begin();
	send_event(event, &word);
	send(PA_TRACE_EVENTS_REGION, TID, 1);
	assert_int_equal(read_all(), 2);
	assert_text(&items[0], "aaaaaaaa");
	end();
}

static void text_is_never_cut_by_a_read(void **unused)
{
	static char text[PA_TRACE_EVENTS_TEXT_BYTES];
	size_t total = 0, count;
	(void)unused;
	memset(text, 'x', sizeof(text) - 1);
	begin();
	for (int i = 0; i < 100; i++) {
		send_text(TID, text);
		send(PA_TRACE_EVENTS_LOG, TID, (uint64_t)i + 1);
	}
	pa_snapshot_sync();
	while ((count = pa_trace_queue_read(items, 40))) {
		assert_int_equal(count, 34);
		assert_text(&items[17], text);
		total += count;
	}
	assert_int_equal(total, 1700);
	end();
}

/* ---- memory in use ---- */

static void tell_heap(int64_t now_ns, uint64_t bytes)
{
	pa_tables_lock();
	pa_trace_queue_heap(now_ns, bytes);
	pa_tables_unlock();
}

static void memory_in_use_is_told_when_it_changed_and_not_too_often(void **unused)
{
	int64_t now_ns = pa_clock_mono_ns() + 1000 * PA_NS_PER_S; /* the collector waits for it */
	(void)unused;
	begin();
	tell_heap(now_ns, 500);
	tell_heap(now_ns + 1, 600);
	tell_heap(now_ns + 10 * PA_NS_PER_MS - 1, 700);
	tell_heap(now_ns + 10 * PA_NS_PER_MS, 800);
	tell_heap(now_ns + 30 * PA_NS_PER_MS, 800);
	tell_heap(now_ns + 31 * PA_NS_PER_MS, 900);
	assert_int_equal(read_all(), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(items[i].op, PA_TRACE_EVENTS_HEAP);
	assert_int_equal(items[0].object, 500);
	assert_int_equal(items[1].object, 800);
	assert_int_equal(items[2].object, 900);
	tell_heap(now_ns + 60 * PA_NS_PER_MS, 0); /* and later: that is what it would say */
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_come_out_in_the_order_of_the_ring),
		cmocka_unit_test(item_has_all_of_its_event),
		cmocka_unit_test(threads_that_are_made_have_their_start_routine),
		cmocka_unit_test(cpu_samples_are_in_the_trace),
		cmocka_unit_test(our_own_threads_are_not),
		cmocka_unit_test(second_trace_is_refused_and_one_after_it_is_not),
		cmocka_unit_test(what_was_recorded_before_the_stop_can_be_read),
		cmocka_unit_test(full_queue_counts_what_it_loses),
		cmocka_unit_test(memory_of_a_trace_is_given_back),
		cmocka_unit_test(text_follows_its_event),
		cmocka_unit_test(texts_of_threads_are_kept_apart),
		cmocka_unit_test(text_whose_event_was_lost_is_not_anothers),
		cmocka_unit_test(too_many_texts_at_once_lose_the_oldest),
		cmocka_unit_test(text_says_no_more_than_it_has),
		cmocka_unit_test(text_is_never_cut_by_a_read),
		cmocka_unit_test(memory_in_use_is_told_when_it_changed_and_not_too_often),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}

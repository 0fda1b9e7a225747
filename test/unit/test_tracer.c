#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/base/arena.h"
#include "agent/base/clock.h"
#include "agent/profile/tracer.h"
#include "agent/record/tracing.h"
#include "collector.h"

#define TID 1000
#define FLIGHT_ITEMS 1024 /* the smallest that there is */

static PA_ATOMIC(int) switched_on;

static void trace_switch(bool on)
{
	pa_store_release(&switched_on, on);
}

static int start(void **unused)
{
	(void)unused;
	start_collector(1 << 20);
	bridge.trace_switch = trace_switch;
	return 0;
}

static struct pa_tracer_item items[PA_TRACER_ITEMS];

static void begin(void)
{
	struct pa_snapshot *threads;
	assert_int_equal(pa_tracer_begin(&threads), 0);
	assert_non_null(threads);
	pa_snapshot_free(threads);
}

/* What was recorded up to now. */
static size_t read_all(void)
{
	pa_snapshot_sync();
	return pa_tracer_read(items, PA_COUNT(items));
}

static void end(void)
{
	pa_tracer_stop();
	pa_tracer_end();
}

static struct pa_event event_of(enum pa_tracing_op op, int32_t tid, uint64_t value)
{
	return (struct pa_event){
		.kind = PA_EVENT_TRACE, .tid = tid, .time_ns = 1, .value = { value },
		.skip = pa_tracing_word(op, op == PA_TRACING_BLOCK ? PA_TRACING_IN_JOIN : 0),
	};
}

static void send(enum pa_tracing_op op, int32_t tid, uint64_t value)
{
	send_event(event_of(op, tid, value), NULL);
}

static void send_text(int32_t tid, const char *text)
{
	uintptr_t words[PA_TRACING_TEXT_BYTES / sizeof(uintptr_t)] = { 0 };
	struct pa_event event = event_of(PA_TRACING_TEXT, tid, strlen(text));
	memcpy(words, text, strlen(text));
	event.depth = (uint16_t)(strlen(text) / sizeof(*words) + 1);
	send_event(event, words);
}

static void record(size_t count)
{
	const struct pa_event event = event_of(PA_TRACING_WOKE, TID, 0);
	pa_drain_lock();
	for (size_t i = 0; i < count; i++)
		pa_tracer_record(&event, NULL);
	pa_drain_unlock();
}

static void assert_text(const struct pa_tracer_item *item, const char *text)
{
	assert_int_equal(item->text_bytes, strlen(text));
	assert_memory_equal(item + 1, text, strlen(text));
}

/* ---- the trace ---- */

static void events_come_out_in_the_order_of_the_ring(void **unused)
{
	(void)unused;
	begin();
	assert_true(pa_load_acquire(&switched_on));
	for (uint64_t i = 1; i <= 3000; i++)
		send(PA_TRACING_WOKE, TID + (int32_t)(i % 7), i);
	assert_int_equal(read_all(), 3000);
	for (uint64_t i = 1; i <= 3000; i++) {
		assert_int_equal(items[i - 1].link, i);
		assert_int_equal(items[i - 1].tid, TID + (int32_t)(i % 7));
		assert_int_equal(items[i - 1].op, PA_TRACING_WOKE);
		assert_null(items[i - 1].stack);
	}
	assert_int_equal(read_all(), 0);
	end();
	assert_false(pa_load_acquire(&switched_on));
}

static void item_has_all_of_its_event(void **unused)
{
	uintptr_t pc = PC(1);
	struct pa_event event = event_of(PA_TRACING_BLOCK, TID, 5);
	(void)unused;
	event.depth = 1;
	event.object = OBJECT(1);
	event.time_ns = 77;
	memcpy(event.name, "sixteen bytes no", sizeof(event.name));
	begin();
	send_event(event, &pc);
	assert_int_equal(read_all(), 1);
	assert_int_equal(items->op, PA_TRACING_BLOCK);
	assert_int_equal(items->wait, PA_TRACING_IN_JOIN);
	assert_int_equal(items->time_ns, 77);
	assert_int_equal(items->link, 5);
	assert_int_equal(items->object, OBJECT(1));
	assert_memory_equal(items->name, "sixteen bytes no", sizeof(items->name));
	assert_int_equal(pa_sites_loc(items->stack->locs[0])->raw_pc, pc);
	assert_null(items->entry);
	end();
}

static void threads_that_are_made_have_their_start_routine(void **unused)
{
	struct pa_event create = event_of(PA_TRACING_CREATE, TID, 5);
	struct pa_event started = event_of(PA_TRACING_START, TID, 5);
	(void)unused;
	create.object = started.object = PC(2);
	begin();
	send_event(create, NULL);
	send_event(started, NULL);
	started.object = 0;
	send_event(started, NULL);
	assert_int_equal(read_all(), 3);
	assert_int_equal(items[0].entry->depth, 1);
	assert_int_equal(pa_sites_loc(items[0].entry->locs[0])->pc, PC(2));
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
	assert_int_equal(items->op, PA_TRACING_TICK);
	assert_int_equal(items->tid, TID);
	assert_string_equal(items->name, "worker");
	assert_int_equal(pa_sites_loc(items->stack->locs[0])->raw_pc, PC(3));
	end();
}

static void our_own_threads_are_not(void **unused)
{
	(void)unused;
	begin();
	send(PA_TRACING_WOKE, AGENT_TID, 1);
	send_cpu(PC(3), AGENT_TID, "agent", 1);
	assert_int_equal(read_all(), 0);
	end();
}

static void second_trace_is_refused_and_one_after_it_is_not(void **unused)
{
	struct pa_snapshot *threads;
	(void)unused;
	begin();
	assert_int_equal(pa_tracer_begin(&threads), -EBUSY);
	send(PA_TRACING_WOKE, TID, 1);
	assert_int_equal(read_all(), 1);
	pa_tracer_stop();
	assert_int_equal(pa_tracer_begin(&threads), -EBUSY);
	pa_tracer_end();
	begin();
	assert_int_equal(read_all(), 0);
	end();
}

static void what_was_recorded_before_the_stop_can_be_read(void **unused)
{
	(void)unused;
	begin();
	send(PA_TRACING_WOKE, TID, 1);
	pa_tracer_stop();
	send(PA_TRACING_WOKE, TID, 2);
	assert_int_equal(read_all(), 1);
	assert_int_equal(items->link, 1);
	pa_tracer_end();
	send(PA_TRACING_WOKE, TID, 3);
	begin();
	pa_snapshot_sync();
	end();
}

static void full_queue_counts_what_it_loses(void **unused)
{
	uint64_t before = pa_load_relaxed(&counters.lost_trace_ring);
	(void)unused;
	begin();
	record(PA_TRACER_ITEMS + 50);
	assert_int_equal(pa_tracer_lost(), 50);
	assert_int_equal(pa_load_relaxed(&counters.lost_trace_ring) - before, 50);
	assert_int_equal(pa_tracer_read(items, 1000), 1000);
	record(1001);
	assert_int_equal(pa_tracer_lost(), 51);
	assert_int_equal(read_all(), PA_TRACER_ITEMS);
	end();
	begin();
	assert_int_equal(pa_tracer_lost(), 0);
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
	static char text[PA_TRACING_TEXT_BYTES];
	(void)unused;
	memset(text, 'x', sizeof(text) - 1);
	begin();
	send_text(TID, text);
	send(PA_TRACING_LOG, TID, 1);
	send_text(TID, "short");
	send(PA_TRACING_TASK, TID, 2);
	send(PA_TRACING_TASK_END, TID, 3);
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
	send(PA_TRACING_WOKE, TID, 0);
	send(PA_TRACING_REGION, TID + 1, 2);
	send(PA_TRACING_REGION, TID, 1);
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
	send(PA_TRACING_REGION, TID, 1);
	send_text(TID, "and mine");
	send(PA_TRACING_REGION, TID, 2);
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
		send(PA_TRACING_REGION, TID + i, 1);
	assert_int_equal(read_all(), 1 + 16 * 2);
	assert_int_equal(items[0].text_bytes, 0);
	assert_text(&items[1], "text");
	end();
}

static void text_says_no_more_than_it_has(void **unused)
{
	uintptr_t word = 0x6161616161616161;
	struct pa_event event = event_of(PA_TRACING_TEXT, TID, 5000);
	(void)unused;
	event.depth = 1;
	begin();
	send_event(event, &word);
	send(PA_TRACING_REGION, TID, 1);
	assert_int_equal(read_all(), 2);
	assert_text(&items[0], "aaaaaaaa");
	end();
}

static void text_is_never_cut_by_a_read(void **unused)
{
	static char text[PA_TRACING_TEXT_BYTES];
	size_t total = 0, count;
	(void)unused;
	memset(text, 'x', sizeof(text) - 1);
	begin();
	for (int i = 0; i < 100; i++) {
		send_text(TID, text);
		send(PA_TRACING_LOG, TID, (uint64_t)i + 1);
	}
	pa_snapshot_sync();
	while ((count = pa_tracer_read(items, 40))) {
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
	pa_drain_lock();
	pa_tracer_heap(now_ns, bytes);
	pa_drain_unlock();
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
		assert_int_equal(items[i].op, PA_TRACING_HEAP);
	assert_int_equal(items[0].object, 500);
	assert_int_equal(items[1].object, 800);
	assert_int_equal(items[2].object, 900);
	tell_heap(now_ns + 60 * PA_NS_PER_MS, 0); /* and later: that is what it would say */
	end();
}

/* ---- the flight recorder ---- */

static void flight_on(void **unused)
{
	size_t count, bytes;
	(void)unused;
	pa_tracer_flight_boot(0);
	assert_null(pa_tracer_flight_copy(&count, &bytes));
	pa_tracer_flight_boot(1);
	assert_true(pa_load_acquire(&switched_on));
	assert_true(pa_tracer_is_on());
}

/* To items. */
static size_t copy_flight(void)
{
	size_t count, bytes;
	struct pa_tracer_item *copy = pa_tracer_flight_copy(&count, &bytes);
	assert_non_null(copy);
	assert_int_equal(bytes, FLIGHT_ITEMS * sizeof(*copy));
	memcpy(items, copy, count * sizeof(*copy));
	pa_unmap(copy, bytes);
	return count;
}

static void flight_recorder_keeps_the_newest(void **unused)
{
	(void)unused;
	for (uint64_t i = 1; i <= 100; i++)
		send(PA_TRACING_WOKE, TID, i);
	size_t count = copy_flight();
	assert_int_equal(items[count - 1].link, 100);
	assert_int_equal(items[count - 100].link, 1);
	for (uint64_t i = 101; i <= 5000; i++)
		send(PA_TRACING_WOKE, TID, i);
	assert_int_equal(copy_flight(), FLIGHT_ITEMS);
	for (size_t i = 0; i < FLIGHT_ITEMS; i++)
		assert_int_equal(items[i].link, 5000 - FLIGHT_ITEMS + 1 + i);
}

/* Records of all lengths, until it was overwritten many times. */
static void flight_recorder_keeps_whole_records(void **unused)
{
	static char text[PA_TRACING_TEXT_BYTES];
	(void)unused;
	memset(text, 'x', sizeof(text) - 1);
	for (uint64_t i = 1; i <= 3000; i++) {
		send_text(TID, text + 7 * i % 999);
		send(PA_TRACING_LOG, TID, i);
		send(PA_TRACING_WOKE, TID, i);
		if (i % 100 && i > 50)
			continue;
		size_t count = copy_flight(), at = 0;
		assert_true(count <= FLIGHT_ITEMS);
		uint64_t last = items[0].link;
		for (; at < count; at += 1 + pa_tracer_text_items(&items[at])) {
			/* 1: before it is what another test left. */
			uint64_t link = items[at].link;
			assert_true(link == last || link == last + 1 || link == 1);
			last = link;
			if (items[at].op == PA_TRACING_LOG)
				assert_text(&items[at], text + 7 * last % 999);
		}
		assert_int_equal(at, count);
		assert_int_equal(last, i);
	}
}

static void flight_recorder_goes_on_during_a_trace_and_after(void **unused)
{
	(void)unused;
	begin();
	send(PA_TRACING_WOKE, TID, 111);
	assert_int_equal(read_all(), 1);
	end();
	assert_true(pa_load_acquire(&switched_on));
	size_t count = copy_flight();
	assert_int_equal(items[count - 1].link, 111);
	send(PA_TRACING_WOKE, TID, 112);
	count = copy_flight();
	assert_int_equal(items[count - 1].link, 112);
}

static void forked_child_has_neither_trace_nor_flight(void **unused)
{
	(void)unused;
	begin();
	pa_drain_lock();
	pa_tracer_atfork_child();
	pa_drain_unlock();
	assert_false(pa_tracer_is_on());
	begin();
	send(PA_TRACING_WOKE, TID, 1);
	assert_int_equal(read_all(), 1);
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
		/* In this order: it stays on. */
		cmocka_unit_test(flight_on),
		cmocka_unit_test(flight_recorder_keeps_the_newest),
		cmocka_unit_test(flight_recorder_keeps_whole_records),
		cmocka_unit_test(flight_recorder_goes_on_during_a_trace_and_after),
		cmocka_unit_test(forked_child_has_neither_trace_nor_flight),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}

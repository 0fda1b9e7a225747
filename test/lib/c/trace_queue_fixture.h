/* SPDX-License-Identifier: Apache-2.0 */
/* A collector that is asked for traces: for unit tests of agent/profile/trace_queue.c. */
#ifndef TRACE_QUEUE_FIXTURE_H
#define TRACE_QUEUE_FIXTURE_H

#include "agent/profile/snapshot_take.h"
#include "agent/profile/trace_queue.h"
#include "agent/record/trace_events.h"
#include "test/lib/c/collector.h"

#define TID 1000

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

static struct pa_trace_queue_item items[PA_TRACE_QUEUE_ITEMS];

static void begin(void)
{
	struct pa_snapshot *threads;
	assert_int_equal(pa_trace_queue_begin(&threads), 0);
	assert_non_null(threads);
	pa_snapshot_free(threads);
}

/* What was recorded up to now. */
static size_t read_all(void)
{
	pa_snapshot_sync();
	return pa_trace_queue_read(items, PA_COUNT(items));
}

static void end(void)
{
	pa_trace_queue_stop();
	pa_trace_queue_end();
}

static struct pa_event event_of(enum pa_trace_events_op op, int32_t tid, uint64_t value)
{
	return (struct pa_event){
		.kind = PA_EVENT_TRACE,
		.tid = tid,
		.time_ns = 1,
		.value = { value },
		.skip = pa_trace_events_word(op,
			op == PA_TRACE_EVENTS_BLOCK ? PA_TRACE_EVENTS_IN_JOIN : 0),
	};
}

static void send(enum pa_trace_events_op op, int32_t tid, uint64_t value)
{
	send_event(event_of(op, tid, value), NULL);
}

static void send_text(int32_t tid, const char *text)
{
	uintptr_t words[PA_TRACE_EVENTS_TEXT_BYTES / sizeof(uintptr_t)] = { 0 };
	struct pa_event event = event_of(PA_TRACE_EVENTS_TEXT, tid, strlen(text));
	memcpy(words, text, strlen(text));
	event.depth = (uint16_t)(strlen(text) / sizeof(*words) + 1);
	send_event(event, words);
}

static void assert_text(const struct pa_trace_queue_item *item, const char *text)
{
	assert_int_equal(item->text_bytes, strlen(text));
	assert_memory_equal(item + 1, text, strlen(text));
}

#endif

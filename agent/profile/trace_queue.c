/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_queue.h"

#include <errno.h>
#include <string.h>

#include "../base/lock.h"
#include "../base/arena.h"
#include "../base/clock.h"
#include "../core/core.h"
#include "goroutine.h"
#include "recording.h"
#include "snapshot_take.h"
#include "tables_lock.h"

#define ITEM_BYTES sizeof(struct pa_trace_queue_item)
#define QUEUE_BYTES (PA_TRACE_QUEUE_ITEMS * ITEM_BYTES)

/* More than the longest text occupies. */
#define FLIGHT_ITEMS_MIN 1024

#define HEAP_PAUSE_NS (10 * PA_NS_PER_MS)

/* Texts wait for their event, which is the next one of the same thread; for this many threads. */
#define TEXTS 16

struct text {
	int32_t tid; /* 0: free */
	uint16_t bytes;
	char text[PA_TRACE_EVENTS_TEXT_BYTES];
};

_Static_assert(sizeof(struct pa_trace_queue_item) == 64, "a text's piece is as large as an item");

static struct {
	PA_ATOMIC(uint32_t) taken; /* a trace is in progress; acq_rel by CAS */
	PA_ATOMIC(uint32_t) live;  /* the queue is being filled; release / acquire */
	struct pa_trace_queue_item *queue;
	PA_ATOMIC(uint32_t) head; /* next item to read; release by the reader */
	PA_ATOMIC(uint32_t) tail; /* next item to write; release by the collector */
	uint64_t lost_before;     /* lost events of all traces, at the begin */
	/* of the collector only */
	struct text texts[TEXTS];
	unsigned next_text;
	int64_t heap_after_ns;
	uint64_t heap_bytes;
	/* the flight recorder; guard: PA_LOCK_TABLES */
	struct pa_trace_queue_item *flight;
	size_t flight_items;               /* power of two */
	uint64_t flight_head, flight_tail; /* item numbers since the start: first kept, next to
					    * write */
	uint64_t flight_gone, flight_seen; /* events since the start: overwritten, recorded */
} state;

bool pa_trace_queue_is_taken(void)
{
	return pa_load_acquire(&state.live);
}

bool pa_trace_queue_is_on(void)
{
	return state.flight || pa_trace_queue_is_taken();
}

/* ---- the collector's side ---- */

static struct pa_trace_queue_item *flight_at(uint64_t position)
{
	PA_ASSERT(state.flight_items && !(state.flight_items & (state.flight_items - 1)));
	return &state.flight[position & (state.flight_items - 1)];
}

/* Removes the oldest events, each with its text, to make room. */
static void put_flight(const struct pa_trace_queue_item *items, size_t count)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(count <= state.flight_items);
	while (state.flight_tail + count - state.flight_head > state.flight_items) {
		state.flight_head += 1 + pa_trace_queue_text_items(flight_at(state.flight_head));
		state.flight_gone++;
	}
	for (size_t i = 0; i < count; i++)
		*flight_at(state.flight_tail++) = items[i];
	state.flight_seen++;
}

static void put_queue(const struct pa_trace_queue_item *items, size_t count)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(pa_load_relaxed(&state.tail) - pa_load_acquire(&state.head) <=
		PA_TRACE_QUEUE_ITEMS);
	uint32_t tail = pa_load_relaxed(&state.tail);
	if (PA_TRACE_QUEUE_ITEMS - (tail - pa_load_acquire(&state.head)) < count) {
		pa_add_relaxed(&pa_core_bridge->counters->lost_trace_ring, 1);
		return;
	}
	for (size_t i = 0; i < count; i++)
		state.queue[(tail + i) & (PA_TRACE_QUEUE_ITEMS - 1)] = items[i];
	pa_store_release(&state.tail, tail + (uint32_t)count);
}

static void put_items(const struct pa_trace_queue_item *items)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(pa_trace_queue_is_on());
	size_t count = 1 + pa_trace_queue_text_items(items);
	if (state.flight)
		put_flight(items, count);
	if (pa_trace_queue_is_taken())
		put_queue(items, count);
}

static struct text *text_of(int32_t tid)
{
	for (size_t i = 0; i < TEXTS; i++)
		if (state.texts[i].tid == tid)
			return &state.texts[i];
	return NULL;
}

/* A text still waiting belongs to an event that was lost. */
static void keep_text(const struct pa_event *event)
{
	struct text *text = text_of(event->tid);
	if (!text)
		text = &state.texts[state.next_text++ % TEXTS];
	size_t bytes = event->value[0], have = event->depth * sizeof(uintptr_t);
	if (bytes > have)
		bytes = have;
	if (bytes > sizeof(text->text))
		bytes = sizeof(text->text);
	text->tid = event->tid;
	text->bytes = (uint16_t)bytes;
	memcpy(text->text, pa_event_pcs(event), bytes);
}

/* Moves the text behind items[0]. */
static void take_text(struct pa_trace_queue_item *items)
{
	struct text *text = text_of(items->tid);
	if (!text)
		return;
	memcpy(items + 1, text->text, text->bytes);
	items->text_bytes = text->bytes;
	text->tid = 0;
}

static const struct pa_stack *entry_of(enum pa_trace_events_op op, uintptr_t start_routine)
{
	bool has_entry = op == PA_TRACE_EVENTS_CREATE || op == PA_TRACE_EVENTS_START;
	if (!has_entry || !start_routine)
		return NULL;
	return pa_stack_table_intern_locked(&start_routine, 1, true, PA_PSEUDO_NONE);
}

static struct pa_trace_queue_item item_of(const struct pa_event *event, enum pa_trace_events_op op,
	const struct pa_stack *stack)
{
	struct pa_trace_queue_item item = {
		.time_ns = event->time_ns,
		.link = event->value[0],
		.object = event->object,
		.stack = stack,
		.tid = event->tid,
		.op = (uint8_t)op,
	};
	return item;
}

void pa_trace_queue_record_locked(const struct pa_event *event, const struct pa_stack *stack)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	struct pa_trace_queue_item items[2 + PA_TRACE_EVENTS_TEXT_BYTES / ITEM_BYTES];
	enum pa_trace_events_op op = pa_trace_events_op_of(event->skip);
	if (op == PA_TRACE_EVENTS_TEXT) {
		keep_text(event);
		return;
	}
	items[0] = item_of(event, op, stack);
	items[0].entry = entry_of(op, event->object);
	items[0].wait = (uint8_t)pa_trace_events_wait_of(event->skip);
	if (op == PA_TRACE_EVENTS_BLOCK)
		memcpy(items[0].name, event->name, sizeof(event->name));
	if (op >= PA_TRACE_EVENTS_TASK)
		take_text(items);
	put_items(items);
}

void pa_trace_queue_tick(const struct pa_event *event, const struct pa_stack *stack)
{
	struct pa_trace_queue_item item = item_of(event, PA_TRACE_EVENTS_TICK, stack);
	memcpy(item.name, event->name, sizeof(event->name));
	put_items(&item);
}

void pa_trace_queue_heap(int64_t now_ns, uint64_t live_bytes)
{
	if (now_ns < state.heap_after_ns || live_bytes == state.heap_bytes)
		return;
	state.heap_after_ns = now_ns + HEAP_PAUSE_NS;
	state.heap_bytes = live_bytes;
	const struct pa_trace_queue_item item = {
		.time_ns = now_ns, .object = live_bytes, .op = PA_TRACE_EVENTS_HEAP
	};
	put_items(&item);
}

/* ---- the trace ---- */

int pa_trace_queue_begin(struct pa_snapshot **threads)
{
	uint32_t nobody = 0;
	if (!pa_cas_acq_rel(&state.taken, &nobody, 1))
		return -EBUSY;
	state.queue = pa_map(QUEUE_BYTES);
	if (!state.queue) {
		pa_store_release(&state.taken, 0);
		return -ENOMEM;
	}
	pa_store_relaxed(&state.head, 0);
	pa_store_relaxed(&state.tail, 0);
	state.lost_before = pa_load_relaxed(&pa_core_bridge->counters->lost_trace_ring);
	pa_store_release(&state.live, 1);
	pa_recording_trace(true);
	*threads = pa_goroutine_take(true);
	return 0;
}

size_t pa_trace_queue_read(struct pa_trace_queue_item *items, size_t max)
{
	uint32_t head = pa_load_relaxed(&state.head);
	uint32_t there = pa_load_acquire(&state.tail) - head;
	size_t count = 0;
	while (count < there) {
		const struct pa_trace_queue_item *next =
			&state.queue[(head + count) & (PA_TRACE_QUEUE_ITEMS - 1)];
		size_t more = 1 + pa_trace_queue_text_items(next);
		if (more > max - count)
			break;
		for (size_t i = 0; i < more; i++, count++)
			items[count] = state.queue[(head + count) & (PA_TRACE_QUEUE_ITEMS - 1)];
	}
	pa_store_release(&state.head, head + (uint32_t)count);
	return count;
}

void pa_trace_queue_stop(void)
{
	pa_recording_trace(state.flight != NULL);
	pa_snapshot_sync();
	pa_store_release(&state.live, 0);
}

/* Under the lock: the collector may have read live just before it was cleared. */
void pa_trace_queue_end(void)
{
	PA_ASSERT(pa_load_relaxed(&state.taken));
	pa_tables_lock();
	struct pa_trace_queue_item *queue = state.queue;
	state.queue = NULL;
	pa_tables_unlock();
	pa_unmap(queue, QUEUE_BYTES);
	pa_store_release(&state.taken, 0);
}

uint64_t pa_trace_queue_lost(void)
{
	return pa_load_relaxed(&pa_core_bridge->counters->lost_trace_ring) - state.lost_before;
}

/* ---- the flight recorder ---- */

void pa_trace_queue_flight_boot(size_t bytes)
{
	size_t items = FLIGHT_ITEMS_MIN;
	while (items * 2 * ITEM_BYTES <= bytes)
		items *= 2;
	if (!bytes || state.flight)
		return;
	state.flight = pa_map(items * ITEM_BYTES);
	if (!state.flight)
		return;
	state.flight_items = items;
	state.flight_head = state.flight_tail = 0;
	state.flight_gone = state.flight_seen = 0;
	pa_recording_trace(true);
}

bool pa_trace_queue_flight_begin(struct pa_trace_queue_flight *flight)
{
	*flight = (struct pa_trace_queue_flight){ 0 };
	pa_snapshot_sync();
	pa_tables_lock();
	bool on = state.flight != NULL;
	if (on) {
		flight->at = state.flight_head;
		flight->end = state.flight_tail;
		flight->event = state.flight_gone;
		flight->event_end = state.flight_seen;
	}
	pa_tables_unlock();
	return on;
}

/* Skips to the oldest event that still exists. */
static void catch_up(struct pa_trace_queue_flight *flight)
{
	if (state.flight_head <= flight->at)
		return;
	bool all = state.flight_head >= flight->end;
	uint64_t event = all ? flight->event_end : state.flight_gone;
	flight->lost += event - flight->event;
	flight->event = event;
	flight->at = all ? flight->end : state.flight_head;
}

size_t pa_trace_queue_flight_read(struct pa_trace_queue_flight *flight,
	struct pa_trace_queue_item *items, size_t max)
{
	size_t count = 0;
	pa_tables_lock();
	catch_up(flight);
	PA_ASSERT(flight->at <= flight->end && flight->end <= state.flight_tail);
	while (flight->at < flight->end) {
		size_t more = 1 + pa_trace_queue_text_items(flight_at(flight->at));
		if (more > max - count)
			break;
		for (size_t i = 0; i < more; i++)
			items[count++] = *flight_at(flight->at++);
		flight->event++;
	}
	pa_tables_unlock();
	return count;
}

void pa_trace_queue_suspended(void)
{
	if (!pa_load_acquire(&state.taken))
		return;
	pa_recording_trace(state.flight != NULL);
	pa_store_release(&state.live, 0);
	pa_trace_queue_end();
}

void pa_trace_queue_atfork_child(void)
{
	pa_store_relaxed(&state.taken, 0);
	pa_store_relaxed(&state.live, 0);
	state.queue = NULL;
	state.flight = NULL;
}

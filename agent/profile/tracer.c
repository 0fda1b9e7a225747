#include "tracer.h"

#include <errno.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "core.h"
#include "drain.h"
#include "requests.h"
#include "snapshot_record.h"

#define ITEM_BYTES sizeof(struct pa_tracer_item)
#define QUEUE_BYTES (PA_TRACER_ITEMS * ITEM_BYTES)

/* More than the longest text takes. */
#define FLIGHT_ITEMS_MIN 1024

#define HEAP_PAUSE_NS (10 * PA_NS_PER_MS)

/* Texts wait for their event, which comes next of the same thread; so many threads at once. */
#define TEXTS 16

struct text {
	int32_t tid; /* 0: free */
	uint16_t bytes;
	char text[PA_TRACING_TEXT_BYTES];
};

_Static_assert(sizeof(struct pa_tracer_item) == 64, "a text's piece is as large as an item");

static struct {
	PA_ATOMIC(uint32_t) taken; /* somebody takes a trace; acq_rel by CAS */
	PA_ATOMIC(uint32_t) live;  /* the queue is to be filled; release / acquire */
	struct pa_tracer_item *queue;
	PA_ATOMIC(uint32_t) head;  /* next to be read; release by the reader */
	PA_ATOMIC(uint32_t) tail;  /* next to be written; release by the collector */
	uint64_t lost_before;      /* of all events of traces, at the begin */
	/* the collector's own */
	struct text texts[TEXTS];
	unsigned next_text;
	int64_t heap_after_ns;
	uint64_t heap_bytes;
	/* the flight recorder; guard: PA_LOCK_TABLES */
	struct pa_tracer_item *flight;
	size_t flight_items;  /* power of two */
	uint64_t flight_head, flight_tail; /* items since the start: first kept, next written */
} state;

bool pa_tracer_is_taken(void)
{
	return pa_load_acquire(&state.live);
}

bool pa_tracer_is_on(void)
{
	return state.flight || pa_tracer_is_taken();
}

/* ---- the collector's side ---- */

static struct pa_tracer_item *flight_at(uint64_t position)
{
	return &state.flight[position & (state.flight_items - 1)];
}

/* The oldest make room, each with its text. */
static void put_flight(const struct pa_tracer_item *items, size_t count)
{
	while (state.flight_tail + count - state.flight_head > state.flight_items)
		state.flight_head += 1 + pa_tracer_text_items(flight_at(state.flight_head));
	for (size_t i = 0; i < count; i++)
		*flight_at(state.flight_tail++) = items[i];
}

static void put_queue(const struct pa_tracer_item *items, size_t count)
{
	uint32_t tail = pa_load_relaxed(&state.tail);
	if (PA_TRACER_ITEMS - (tail - pa_load_acquire(&state.head)) < count) {
		pa_add_relaxed(&pa_core_bridge->counters->lost_trace_ring, 1);
		return;
	}
	for (size_t i = 0; i < count; i++)
		state.queue[(tail + i) & (PA_TRACER_ITEMS - 1)] = items[i];
	pa_store_release(&state.tail, tail + (uint32_t)count);
}

static void put(const struct pa_tracer_item *items)
{
	size_t count = 1 + pa_tracer_text_items(items);
	if (state.flight)
		put_flight(items, count);
	if (pa_tracer_is_taken())
		put_queue(items, count);
}

static struct text *text_of(int32_t tid)
{
	for (size_t i = 0; i < TEXTS; i++)
		if (state.texts[i].tid == tid)
			return &state.texts[i];
	return NULL;
}

/* One that still waits is that of an event that was lost. */
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

/* Behind items[0]. */
static void take_text(struct pa_tracer_item *items)
{
	struct text *text = text_of(items->tid);
	if (!text)
		return;
	memcpy(items + 1, text->text, text->bytes);
	items->text_bytes = text->bytes;
	text->tid = 0;
}

static const struct pa_stack *entry_of(enum pa_tracing_op op, uintptr_t start_routine)
{
	bool has_entry = op == PA_TRACING_CREATE || op == PA_TRACING_START;
	if (!has_entry || !start_routine)
		return NULL;
	return pa_sites_intern(&start_routine, 1, true, PA_PSEUDO_NONE);
}

static struct pa_tracer_item item_of(const struct pa_event *event, enum pa_tracing_op op,
	const struct pa_stack *stack)
{
	struct pa_tracer_item item = {
		.time_ns = event->time_ns,
		.link = event->value[0],
		.object = event->object,
		.stack = stack,
		.tid = event->tid,
		.op = (uint8_t)op,
	};
	return item;
}

void pa_tracer_record(const struct pa_event *event, const struct pa_stack *stack)
{
	struct pa_tracer_item items[2 + PA_TRACING_TEXT_BYTES / ITEM_BYTES];
	enum pa_tracing_op op = pa_tracing_op_of(event->skip);
	if (op == PA_TRACING_TEXT) {
		keep_text(event);
		return;
	}
	items[0] = item_of(event, op, stack);
	items[0].entry = entry_of(op, event->object);
	items[0].wait = (uint8_t)pa_tracing_wait_of(event->skip);
	if (op == PA_TRACING_BLOCK)
		memcpy(items[0].name, event->name, sizeof(event->name));
	if (op >= PA_TRACING_TASK)
		take_text(items);
	put(items);
}

void pa_tracer_tick(const struct pa_event *event, const struct pa_stack *stack)
{
	struct pa_tracer_item item = item_of(event, PA_TRACING_TICK, stack);
	memcpy(item.name, event->name, sizeof(event->name));
	put(&item);
}

void pa_tracer_heap(int64_t now_ns, uint64_t live_bytes)
{
	if (now_ns < state.heap_after_ns || live_bytes == state.heap_bytes)
		return;
	state.heap_after_ns = now_ns + HEAP_PAUSE_NS;
	state.heap_bytes = live_bytes;
	const struct pa_tracer_item item = {
		.time_ns = now_ns, .object = live_bytes, .op = PA_TRACING_HEAP,
	};
	put(&item);
}

/* ---- the trace ---- */

int pa_tracer_begin(struct pa_snapshot **threads)
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
	pa_snapshot_record_trace(true);
	*threads = pa_snapshot_threads(true);
	return 0;
}

size_t pa_tracer_read(struct pa_tracer_item *items, size_t max)
{
	uint32_t head = pa_load_relaxed(&state.head);
	uint32_t there = pa_load_acquire(&state.tail) - head;
	size_t count = 0;
	while (count < there) {
		const struct pa_tracer_item *next =
			&state.queue[(head + count) & (PA_TRACER_ITEMS - 1)];
		size_t more = 1 + pa_tracer_text_items(next);
		if (more > max - count)
			break;
		for (size_t i = 0; i < more; i++, count++)
			items[count] = state.queue[(head + count) & (PA_TRACER_ITEMS - 1)];
	}
	pa_store_release(&state.head, head + (uint32_t)count);
	return count;
}

void pa_tracer_stop(void)
{
	pa_snapshot_record_trace(state.flight != NULL);
	pa_snapshot_sync();
	pa_store_release(&state.live, 0);
}

/* The collector may have looked at live just before it was cleared: not while it is at work. */
void pa_tracer_end(void)
{
	pa_drain_lock();
	struct pa_tracer_item *queue = state.queue;
	state.queue = NULL;
	pa_drain_unlock();
	pa_unmap(queue, QUEUE_BYTES);
	pa_store_release(&state.taken, 0);
}

uint64_t pa_tracer_lost(void)
{
	return pa_load_relaxed(&pa_core_bridge->counters->lost_trace_ring) - state.lost_before;
}

/* ---- the flight recorder ---- */

void pa_tracer_flight_boot(size_t bytes)
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
	pa_snapshot_record_trace(true);
}

struct pa_tracer_item *pa_tracer_flight_copy(size_t *count, size_t *bytes)
{
	size_t room = state.flight_items * ITEM_BYTES;
	struct pa_tracer_item *copy = state.flight ? pa_map(room) : NULL;
	*count = 0;
	*bytes = room;
	if (!copy)
		return NULL;
	pa_snapshot_sync();
	pa_drain_lock();
	for (uint64_t at = state.flight_head; at < state.flight_tail; at++)
		copy[(*count)++] = *flight_at(at);
	pa_drain_unlock();
	return copy;
}

void pa_tracer_aside(void)
{
	if (!pa_load_acquire(&state.taken))
		return;
	pa_snapshot_record_trace(state.flight != NULL);
	pa_store_release(&state.live, 0);
	pa_tracer_end();
}

void pa_tracer_atfork_child(void)
{
	pa_store_relaxed(&state.taken, 0);
	pa_store_relaxed(&state.live, 0);
	state.queue = NULL;
	state.flight = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queue of execution trace events from the collector to the writer of the trace, and the flight
 * recorder, which always keeps the most recent events.
 *
 * A trace has a queue of PA_TRACE_QUEUE_ITEMS items; when it is full events are lost and counted.
 * Events come in the order of the ring, which is causal. A text follows its event in separate
 * items.
 *
 * Context: PA_AGENT. _record, _tick and _heap: the collector, under PA_LOCK_TABLES. _flight_boot:
 * before the collector runs, without a lock, because it takes PA_LOCK_DUMP. _begin, _read, _stop
 * and _end: the one thread that writes the trace. Memory: the queue during a trace; the flight
 * recorder's ring as the settings say.
 */
#ifndef PA_TRACE_QUEUE_H
#define PA_TRACE_QUEUE_H

#include "../record/event.h"
#include "../record/trace_events.h"
#include "snapshot.h"

#define PA_TRACE_QUEUE_ITEMS (1u << 17)

struct pa_trace_queue_item {
	int64_t time_ns; /* CLOCK_MONOTONIC */
	uint64_t link;   /* value[0] of the event */
	uintptr_t object;
	const struct pa_stack *stack; /* NULL: none */
	const struct pa_stack *entry; /* CREATE, START: the start routine; otherwise NULL */
	int32_t tid;
	uint8_t op;          /* enum pa_trace_events_op */
	uint8_t wait;        /* BLOCK: enum pa_trace_events_wait */
	uint16_t text_bytes; /* length of the text in the following items; without a NUL */
	char name[PA_EVENT_NAME_BYTES]; /* BLOCK, TICK: of the thread; may lack a NUL */
};

/* Items that the text occupies. */
PA_INLINE size_t pa_trace_queue_text_items(const struct pa_trace_queue_item *item)
{
	return (item->text_bytes + sizeof(*item) - 1) / sizeof(*item);
}

/* ---- the collector's side ---- */

/* True while a trace is in progress. */
PA_AGENT bool pa_trace_queue_is_taken(void);

/* True if a trace or the flight recorder needs events. */
PA_AGENT bool pa_trace_queue_is_on(void);

/* Adds an event; stack: its interned stack. */
PA_AGENT void pa_trace_queue_record_locked(const struct pa_event *event,
	const struct pa_stack *stack);

/* Adds a CPU sample. */
PA_AGENT void pa_trace_queue_tick(const struct pa_event *event, const struct pa_stack *stack);

/* Adds the heap size, at intervals. All older events must have been added. */
PA_AGENT void pa_trace_queue_heap(int64_t now_ns, uint64_t live_bytes);

/* ---- the trace ---- */

/* Begins a trace. Returns 0; -EBUSY: one is in progress; -ENOMEM. *threads: stacks of all threads
 * now, freed by the caller; NULL: not available. */
PA_AGENT int pa_trace_queue_begin(struct pa_snapshot **threads);

/*
 * Moves at most max items out. Texts are never split: max >= PA_TRACE_EVENTS_TEXT_BYTES / 64 + 2.
 */
PA_AGENT size_t pa_trace_queue_read(struct pa_trace_queue_item *items, size_t max);

/* Stops recording; the recorded items can still be read. */
PA_AGENT void pa_trace_queue_stop(void);
PA_AGENT void pa_trace_queue_end(void);

/* Events lost since the begin, in the queue or in the ring. */
PA_AGENT uint64_t pa_trace_queue_lost(void);

/* ---- the flight recorder ---- */

/* Starts the flight recorder with this much memory; 0: no flight recorder. */
PA_AGENT void pa_trace_queue_flight_boot(size_t bytes);

/*
 * Reader of the flight recorder's contents at the time of begin. It reserves nothing: items
 * overwritten before they are read are lost. at .. end are item numbers since the start, event ..
 * event_end the same for events.
 */
struct pa_trace_queue_flight {
	uint64_t at, end;
	uint64_t event, event_end;
	uint64_t lost; /* events overwritten so far */
};

/* False: there is no flight recorder. */
PA_AGENT bool pa_trace_queue_flight_begin(struct pa_trace_queue_flight *flight);

/* Copies the next events, oldest first, as pa_trace_queue_read; 0: none left. The collector waits
 * for the copy: about 50 us for max = 4096. */
PA_AGENT size_t pa_trace_queue_flight_read(struct pa_trace_queue_flight *flight,
	struct pa_trace_queue_item *items, size_t max);

/* The thread that wrote the trace was suspended: the trace ends, the flight recorder continues. */
PA_AGENT void pa_trace_queue_suspended(void);

/* In a forked child: no trace is in progress; the flight recorder is empty. */
PA_BOOT void pa_trace_queue_atfork_child(void);

#endif

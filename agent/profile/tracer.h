/*
 * Events of an execution trace on their way from the collector to whoever writes the trace, and the
 * flight recorder, which keeps the last of them all the time.
 *
 * A trace has a queue of PA_TRACER_ITEMS items; one that is not emptied in time loses events, which
 * are counted. Events come in the order of the ring, which is causal. A text follows its event in
 * items of its own.
 *
 * Context: PA_AGENT. _record, _tick and _heap: the collector, under PA_LOCK_TABLES. _flight_boot:
 * before the collector runs, under no lock, since it takes PA_LOCK_ROLL. _begin, _read, _stop and
 * _end: one thread, whoever takes the trace.
 * Memory: the queue while a trace is taken; the flight recorder's ring, as the settings say.
 */
#ifndef PA_TRACER_H
#define PA_TRACER_H

#include "../record/tracing.h"
#include "snapshot.h"

#define PA_TRACER_ITEMS (1u << 17)

struct pa_tracer_item {
	int64_t time_ns;       /* CLOCK_MONOTONIC */
	uint64_t link;         /* value[0] of the event */
	uintptr_t object;
	const struct pa_stack *stack; /* NULL: none */
	const struct pa_stack *entry; /* CREATE, START: the start routine, alone; else NULL */
	int32_t tid;
	uint8_t op;            /* enum pa_tracing_op */
	uint8_t wait;          /* BLOCK: enum pa_tracing_wait */
	uint16_t text_bytes;   /* of the text in the items behind this one; no NUL at its end */
	char name[PA_THREAD_NAME_BYTES]; /* BLOCK, TICK: of the thread; may lack a NUL */
};

/* Items that a text takes. */
PA_INLINE size_t pa_tracer_text_items(const struct pa_tracer_item *item)
{
	return (item->text_bytes + sizeof(*item) - 1) / sizeof(*item);
}

/* ---- the collector's side ---- */

/* Does anybody take a trace at the moment? */
PA_AGENT bool pa_tracer_is_taken(void);

/* Does anybody, or the flight recorder, want events? */
PA_AGENT bool pa_tracer_is_on(void);

/* An event; stack: its own, interned. */
PA_AGENT void pa_tracer_record(const struct pa_event *event, const struct pa_stack *stack);

/* A CPU sample. */
PA_AGENT void pa_tracer_tick(const struct pa_event *event, const struct pa_stack *stack);

/* Bytes in use now, and all older events have been recorded: kept when it has been a while. */
PA_AGENT void pa_tracer_heap(int64_t now_ns, uint64_t live_bytes);

/* ---- the trace ---- */

/*
 * Begins a trace. 0; -EBUSY: there is one; -ENOMEM. *threads: what all threads do at the moment,
 * the caller's to free; NULL: it could not be found out.
 */
PA_AGENT int pa_tracer_begin(struct pa_snapshot **threads);

/* Moves at most max items out. A text is never cut: max >= PA_TRACING_TEXT_BYTES / 64 + 2. */
PA_AGENT size_t pa_tracer_read(struct pa_tracer_item *items, size_t max);

/* Nothing is recorded for it any more; what was is there to be read. */
PA_AGENT void pa_tracer_stop(void);
PA_AGENT void pa_tracer_end(void);

/* Events since the begin that found the queue full, or the ring before it. */
PA_AGENT uint64_t pa_tracer_lost(void);

/* ---- the flight recorder ---- */

/* Keeps the last events from now on in so many bytes; 0: no flight recorder. */
PA_AGENT void pa_tracer_flight_boot(size_t bytes);

/*
 * A copy of what it has so far, oldest first; the caller's, for pa_unmap with *bytes. NULL: there
 * is no flight recorder, or no memory.
 */
PA_AGENT struct pa_tracer_item *pa_tracer_flight_copy(size_t *count, size_t *bytes);

/* Who took the trace is gone: it ends. The flight recorder goes on. */
PA_AGENT void pa_tracer_aside(void);

/* In a forked child: no trace is being taken; the flight recorder begins anew. */
PA_BOOT void pa_tracer_atfork_child(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ahead over the events of a trace: finds the release that ended each wait before that
 * release is written.
 *
 * The event of a wakeup names the last release of the object that the thread waited for, or a later
 * one of another object in the same place of the recorder's table; then the last remembered release
 * of the right object is taken. Events pass through a window of PA_GOTRACE_WINDOW events, so that
 * release is usually still in the window and is marked with the woken thread. A mutex that was
 * released and then taken by another thread wakes no thread. Dropped are waits whose lock was
 * released before the wait was recorded, and waits that the kernel or libc refused (the last thread
 * at a barrier, a futex whose word had changed).
 *
 * Context: PA_AGENT, one thread; pure but for its own memory. Input is not trusted: events that do
 * not match are not marked.
 */
#ifndef PA_GOTRACE_LOOK_H
#define PA_GOTRACE_LOOK_H

#include "../agent/profile/trace_queue.h"

#define PA_GOTRACE_WINDOW 1024u

struct pa_gotrace_step {
	struct pa_trace_queue_item item;
	bool dropped;                              /* the event must be ignored */
	int32_t wakes;                             /* release: the thread that it woke; 0: none */
	int32_t woken_by;                          /* WOKE: the releasing thread; 0: unknown */
	const struct pa_stack *release;            /* and its stack */
	char text[PA_TRACE_EVENTS_TEXT_BYTES + 1]; /* terminated by NUL */
};

struct pa_gotrace_look;

/* NULL: no memory. */
PA_AGENT struct pa_gotrace_look *pa_gotrace_look_new(void);
PA_AGENT void pa_gotrace_look_free(struct pa_gotrace_look *look);

/* Memory of one look-ahead. */
PA_AGENT size_t pa_gotrace_look_bytes(void);

/* Adds items[0] and the text behind it. Returns the next event of the output, in order; NULL: none
 * yet. Valid until the next call. */
PA_AGENT const struct pa_gotrace_step *pa_gotrace_look_push(struct pa_gotrace_look *look,
	const struct pa_trace_queue_item *items);

/* Returns the next event that is still in the window; NULL: none. */
PA_AGENT const struct pa_gotrace_step *pa_gotrace_look_pop(struct pa_gotrace_look *look);

#endif

/*
 * A look ahead: which release woke whom, found before the release is written.
 *
 * Who wakes up names the last release of what it waited for. As events go through a window of
 * PA_TRACE_WINDOW of them, the release is mostly still in there and gets marked with the thread
 * that it woke; a mutex that was released and then taken by somebody else wakes nobody. A wait
 * whose lock was released before it was even recorded, and the wait of who came last to a barrier,
 * were none, and are dropped.
 *
 * Context: PA_AGENT, one thread; pure but for its own memory. Nothing in it is trusted: what does
 * not fit together is not marked.
 */
#ifndef PA_TRACE_LOOK_H
#define PA_TRACE_LOOK_H

#include "../agent/profile/tracer.h"

#define PA_TRACE_WINDOW 1024u

struct pa_trace_step {
	struct pa_tracer_item item;
	bool dropped;   /* it is as if it had not been */
	int32_t wakes;  /* a release: the thread that it woke; 0: none */
	int32_t woken_by; /* WOKE: the thread that released; 0: not known */
	const struct pa_stack *release; /* and its stack */
	char text[PA_TRACING_TEXT_BYTES + 1]; /* with a NUL behind it */
};

struct pa_trace_look;

/* NULL: no memory. */
PA_AGENT struct pa_trace_look *pa_trace_look_new(void);
PA_AGENT void pa_trace_look_free(struct pa_trace_look *look);

/*
 * items[0], and behind it its text, go in. What comes out for it, in order; NULL: nothing yet.
 * Valid until the next call.
 */
PA_AGENT const struct pa_trace_step *pa_trace_look_push(struct pa_trace_look *look,
	const struct pa_tracer_item *items);

/* The next of what is still in there; NULL: nothing. */
PA_AGENT const struct pa_trace_step *pa_trace_look_pop(struct pa_trace_look *look);

#endif

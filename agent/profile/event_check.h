/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks whether an event conforms to event.h: a writer that was given up may have left anything in
 * the ring.
 *
 * Context: PA_AGENT, any thread; pure functions.
 */
#ifndef PA_EVENT_CHECK_H
#define PA_EVENT_CHECK_H

#include "../record/event.h"

/* Upper limits of the wait time, ticks and contentions of one event; larger values are rejected. */
#define PA_EVENT_CHECK_DELAY_NS ((uint64_t)1 << 62)
#define PA_EVENT_CHECK_TICKS ((uint64_t)1 << 32)
#define PA_EVENT_CHECK_CONTENTIONS 1e15

/* bytes: of the whole record, at least sizeof(struct pa_event). */
PA_AGENT bool pa_event_check(const struct pa_event *event, size_t bytes);

/* For a checked event: true if its kind has a stack. */
PA_AGENT bool pa_event_check_has_stack(const struct pa_event *event);

/* For a checked event: true if its kind concerns a thread of the program, whose id is tid. */
PA_AGENT bool pa_event_check_is_of_thread(const struct pa_event *event);

#endif

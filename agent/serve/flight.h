/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace?flight=1: an execution trace of the recent past, from the flight recorder.
 *
 * One trace at a time (flight_lease.h). The recorder is read in pieces as fast as the client reads:
 * a slow client loses events, which the trace counts, and costs no memory. The trace's memory is
 * charged to the budget (client_budget.h); when that is full the trace ends early and says so.
 *
 *   begin --> write --> rest, a job --> drop
 *
 * Context: PA_AGENT. begin and write on the worker of the request, rest on the render thread, drop
 * on either. No lock of its own.
 */
#ifndef PA_FLIGHT_H
#define PA_FLIGHT_H

#include "../../proto/encode.h"

struct pa_flight;

/*
 * Starts a trace of the last ns and takes the lease. Returns 0; -EBUSY: another trace is being
 * written; -ENOMEM: the budget is full or there is no memory; -ENODATA: the recorder has no memory.
 */
PA_AGENT int pa_flight_begin(int64_t ns, struct pa_flight **flight);

/* Writes everything except the tables of names. Returns 0; -ECANCELED: the sink failed or the lease
 * expired. */
PA_AGENT int pa_flight_write(struct pa_flight *flight, const struct pa_sink *sink);

/*
 * Writes the tables of names, then releases the lease and the memory, before the client can see the
 * end of the response and request the next trace. Returns 0, -ECANCELED or -ENOMEM. arg: struct
 * pa_flight.
 */
PA_AGENT int pa_flight_rest(void *arg, const struct pa_sink *sink);

/* Frees the trace in any state, and the lease if it still has it. */
PA_AGENT void pa_flight_drop(void *arg);

/* In a forked child, and after the agent's threads were suspended: no trace exists. Call after
 * pa_render_thread_reset or pa_render_thread_abandon. */
PA_BOOT void pa_flight_reset(void);

#endif

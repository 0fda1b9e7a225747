/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /debug/pprof/trace: execution trace of the program's threads for `go tool trace`, for the next
 * seconds or from the flight recorder.
 *
 * Context: PA_AGENT, the worker of the request, which writes the trace itself; only the tables of
 * names at its end are a render job. No lock of its own. When the client reads too slowly, events
 * are lost and counted in the trace.
 */
#ifndef PA_TRACE_ENDPOINT_H
#define PA_TRACE_ENDPOINT_H

#include "http.h"

/* ?seconds=F: duration, 1 s if F is not a positive number. ?cpu=1: with CPU samples. ?flight=1:
 * events of the flight recorder; with seconds those of the last F seconds (flight.h). */
PA_AGENT void pa_trace_endpoint_answer(struct pa_http *http, const struct pa_request *request);

/* At the program's exit: ends a running trace and waits for it, timeout_ns at most. On the
 * program's thread. */
PA_APP void pa_trace_endpoint_finish(int64_t timeout_ns);

/* In a forked child, and after the agent's threads were suspended: no trace is being taken. Call
 * after pa_render_thread_reset or pa_render_thread_abandon. */
PA_BOOT void pa_trace_endpoint_reset(void);

#endif

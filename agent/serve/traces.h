/*
 * /debug/pprof/trace: what the program's threads do for some seconds, for `go tool trace`; or what
 * they did last, when the flight recorder is on.
 *
 * Context: PA_AGENT, the worker of the request. It writes the trace itself, as it comes; only the
 * names at its end are a job. A client that reads too slowly makes the trace lose events, which it
 * says.
 */
#ifndef PA_TRACES_H
#define PA_TRACES_H

#include "http.h"

/*
 * ?seconds=F: for so long, 1 s for what is no positive number. ?cpu=1: with CPU samples. ?flight=1:
 * the last events; with seconds those of the last F seconds.
 */
PA_AGENT void pa_traces_answer(struct pa_http *http, const struct pa_request *request);

/*
 * The program ends: a trace that is being taken ends now, and is waited for, timeout_ns at most. On
 * the program's thread.
 */
PA_APP void pa_traces_hurry(int64_t timeout_ns);

/* In a forked child: nobody takes a trace. */
PA_BOOT void pa_traces_reset(void);

#endif

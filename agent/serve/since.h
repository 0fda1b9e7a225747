/*
 * /debug/pprof/delta_heap, delta_block, delta_mutex: what has changed since the same client asked
 * last; the first time, since the start of the program. As Grafana's godeltaprof has it, so that
 * its scrapers find it: what is in use is no change, but what it is.
 *
 * Context: PA_AGENT, the worker of the request; the work is done in a job.
 */
#ifndef PA_SINCE_H
#define PA_SINCE_H

#include "../profile/kinds.h"
#include "http.h"

/* Parameters are ignored. An answer that could not be written changes nothing, nor does HEAD. */
PA_AGENT void pa_since_answer(struct pa_http *http, const struct pa_request *request,
	const struct pa_kind *kind);

/* For pa_collect_idle: forgets silent clients; ns until it wants to be called again, -1: never. */
PA_AGENT int64_t pa_since_idle(void);

#endif

/*
 * The profile endpoints: /debug/pprof/profile and the named profiles, with all parameters of Go's.
 *
 * Context: PA_AGENT, the worker of the request. Waiting happens on the worker (it notices when the
 * client leaves), rendering in a job.
 */
#ifndef PA_PROFILES_H
#define PA_PROFILES_H

#include "../profile/kinds.h"
#include "http.h"

/* Requests that may wait for their seconds at the same time; the other workers serve the rest. */
#define PA_PROFILES_WAITING (PA_HTTP_WORKERS - 2)

/* ?seconds=N: CPU samples of the next N seconds, 30 for what is no positive number. */
PA_AGENT void pa_profiles_cpu(struct pa_http *http, const struct pa_request *request);

/*
 * ?debug=1: text; ?debug=2 of goroutine: with what the kernel says of each thread; ?debug=-1: what
 * Go makes of it, text for heap and allocs, else the proto under the header of a text.
 * heap?gc=1: free memory goes back first.
 * ?seconds=N: what happens meanwhile; block and mutex are recorded for it when they are off.
 */
PA_AGENT void pa_profiles_named(struct pa_http *http, const struct pa_request *request,
	const struct pa_kind *kind);

/* In a forked child: nobody waits. */
PA_BOOT void pa_profiles_reset(void);

#endif

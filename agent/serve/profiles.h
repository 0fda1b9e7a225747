/*
 * The profile endpoints: /debug/pprof/profile and the named profiles, with all parameters of Go's.
 *
 * Context: PA_AGENT, the worker of the request. Waiting happens on the worker (it notices when the
 * client leaves), rendering in a job.
 */
#ifndef PA_PROFILES_H
#define PA_PROFILES_H

#include <errno.h>

#include "../profile/kinds.h"
#include "http.h"

/* Requests that may wait for their seconds at the same time; the other workers serve the rest. */
#define PA_PROFILES_WAITING (PA_HTTP_WORKERS - 2)

/* A profile that was waited for is worth waiting for its turn as well. */
#define PA_PROFILES_TURN_NS (30 * PA_NS_PER_S)

/* Errors of jobs besides the encoder's. */
enum { PA_PROFILES_NONE = -ENODATA, PA_PROFILES_NO_DELTA = -ENOMSG };

/* What to tell the client of a job's error. */
PA_AGENT const char *pa_profiles_explain(int error);

/* Positive seconds of a request, as ns: at most a year of them. */
PA_AGENT int64_t pa_profiles_ns(int64_t seconds);

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

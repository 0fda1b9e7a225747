/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profile endpoints: /debug/pprof/profile and the named profiles, with all parameters of Go's
 * net/http/pprof, and those of profile_form.h.
 *
 * Context: PA_AGENT, the worker of the request. Waiting for ?seconds takes no worker
 * (pa_http_suspend); the encoding is a render job. No lock of its own. First snapshots of deltas
 * are charged to the budget (client_budget.h); when it is full the request gets 503.
 */
#ifndef PA_PROFILE_ENDPOINTS_H
#define PA_PROFILE_ENDPOINTS_H

#include <errno.h>

#include "../profile/profile_ops.h"
#include "http.h"

/* Queue timeout of a profile that took seconds to collect. */
#define PA_PROFILE_ENDPOINTS_LONG_QUEUE_NS (30 * PA_NS_PER_S)
/* Queue timeout of the other requests, for a worker. */
#define PA_PROFILE_ENDPOINTS_QUEUE_NS (10 * PA_NS_PER_S)

/* Errors of jobs in addition to the encoder's. */
enum {
	PA_PROFILE_ENDPOINTS_NONE = -ENODATA,
	PA_PROFILE_ENDPOINTS_NO_THREADS = -ENOENT, /* in /proc */
	PA_PROFILE_ENDPOINTS_NO_DELTA = -ENOMSG
};

/* Text for the client about a job's error. */
PA_AGENT const char *pa_profile_endpoints_explain(int error);

/* Why there are no stacks of threads: _NO_THREADS or _NONE. */
PA_AGENT int pa_profile_endpoints_no_stacks(void);

/* Converts positive seconds of a request to ns; at most one year. */
PA_AGENT int64_t pa_profile_endpoints_ns(int64_t seconds);

/* ?seconds=N: CPU samples of the next N seconds; 30 if N is not a positive number. */
PA_AGENT void pa_profile_endpoints_cpu(struct pa_http *http, const struct pa_request *request);

/*
 * ?debug=1: text; goroutine?debug=2: with the kernel's state of each thread; ?debug=-1: as Go, text
 * for heap and allocs, otherwise the proto with a text header.
 * heap?gc=1: the allocator gives free memory back first.
 * ?seconds=N: changes during N seconds; block and mutex are recorded meanwhile if they are off.
 */
PA_AGENT void pa_profile_endpoints_named(struct pa_http *http, const struct pa_request *request,
	const struct pa_profile_ops *kind);

/* In a forked child: no request waits, the budget of first snapshots is given back. */
PA_BOOT void pa_profile_endpoints_reset(void);

#endif

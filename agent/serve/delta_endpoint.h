/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /debug/pprof/delta_heap, delta_block, delta_mutex: the changes since the last request of the same
 * client, for the first request since the program's start. In-use values are given in full, as by
 * Grafana's godeltaprof, whose scrapers expect that.
 *
 * Context: PA_AGENT, the worker of the request; the snapshot and the encoding are a render job.
 * State and limits: delta_clients.h.
 */
#ifndef PA_DELTA_ENDPOINT_H
#define PA_DELTA_ENDPOINT_H

#include "../profile/profile_ops.h"
#include "http.h"

/* Takes the parameters of profile_form.h, no others. A failed response and HEAD change nothing in
 * the client's state. */
PA_AGENT void pa_delta_endpoint_answer(struct pa_http *http, const struct pa_request *request,
	const struct pa_profile_ops *kind);

/* Idle work for pa_render_thread_idle: forgets silent clients. Returns ns until the next call; -1:
 * with the next job. */
PA_AGENT int64_t pa_delta_endpoint_idle(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /debug/pprof/processes and /debug/pprof/targets.
 *
 * Context: PA_AGENT, the worker of the request, for PA_PROCESS_TREE_CPU_NS at most. Lock: that of
 * the list (process_tree.h).
 */
#ifndef PA_PROCESSES_ENDPOINT_H
#define PA_PROCESSES_ENDPOINT_H

#include "http.h"

/* The list of processes: format=text, json or html; without it HTML for browsers (Accept has
 * text/html), else text. */
PA_AGENT void pa_processes_endpoint_answer(struct pa_http *http, const struct pa_request *request);

/* Targets for the HTTP service discovery of Prometheus. */
PA_AGENT void pa_processes_endpoint_targets(struct pa_http *http, const struct pa_request *request);

#endif

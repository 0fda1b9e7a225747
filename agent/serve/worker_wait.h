/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for a worker that a request may keep for long: used by profiles, deltas, traces and fgprof.
 * Until one can be claimed, the request waits without a worker, in order of arrival.
 *
 * Context: PA_AGENT, the worker of the request. No lock of its own. Limits: those of
 * waiting_requests.h; when full the request gets 503.
 */
#ifndef PA_WORKER_WAIT_H
#define PA_WORKER_WAIT_H

#include "http.h"

/* First member of the request's state, which is one block of memory. */
struct pa_worker_wait {
	/* Answers with a claimed worker (pa_http_claim). Frees the state. */
	void (*go)(struct pa_http *http, struct pa_worker_wait *wait);
	void (*drop)(void *wait); /* frees the state */
	/*
	 * Returns why the request would be refused now, with 500; NULL: it would not. Called before
	 * each claim, so that a request does not occupy a place while another one of its kind runs,
	 * which may take a year. May be NULL.
	 */
	const char *(*refusal)(const struct pa_worker_wait *wait);
	int64_t until_ns; /* queue timeout, pa_queue_clock_ns */
};

/* A copy of the request's state, of that many bytes, that go and drop can free. NULL: no memory,
 * the request is answered. */
PA_AGENT void *pa_worker_wait_new(struct pa_http *http, const void *given, size_t bytes);

/* Waits for a worker and calls go. Answers 503 after until_ns or without a free place, 500 when the
 * client has disconnected. */
PA_AGENT void pa_worker_wait_begin(struct pa_http *http, struct pa_worker_wait *wait);

#endif

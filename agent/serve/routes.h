/*
 * What is served: the one list of paths. Everything else is 404.
 *
 * Context: PA_AGENT, the worker of the request. A handler answers exactly once.
 */
#ifndef PA_ROUTES_H
#define PA_ROUTES_H

#include "http.h"

/* For the agent page; NULL: not known. The struct is kept. */
PA_AGENT void pa_routes_init(const struct pa_listen *listener);

/* Checks who asks, how and for what, and answers. */
PA_AGENT void pa_routes_answer(struct pa_http *http, const struct pa_request *request,
	const struct pa_guard *guard);

/* A request that could not be read. path: as far as it could, or NULL; 405 says what it takes. */
PA_AGENT void pa_routes_refuse(struct pa_http *http, int status, const char *path);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes: the table of all paths that are served. Any other path gets 404.
 *
 * Context: PA_AGENT, the worker of the request. A handler sends exactly one response. State is
 * constant after pa_routes_init; no lock.
 */
#ifndef PA_ROUTES_H
#define PA_ROUTES_H

#include "access.h"
#include "http.h"

/* listener: for the agent page; NULL: unknown. guard: checked for each request. Both are kept, not
 * copied. */
PA_AGENT void pa_routes_init(const struct pa_listen *listener, const struct pa_access *guard);

/* answer checks access, method and path, and calls the endpoint. refuse: for 405 the Allow header
 * lists the methods of the path. */
extern const struct pa_http_handlers pa_routes_handlers PA_HIDDEN;

#endif

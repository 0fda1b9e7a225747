/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields in the header of a request. Names are compared without regard to case.
 *
 * Context: PA_AGENT; pure functions. The values belong to the request.
 */
#ifndef PA_HEADERS_H
#define PA_HEADERS_H

#include "request.h"

/* Value of the next field of that name from *at on; NULL: none. Advances *at, which begins at 0. */
PA_AGENT const char *pa_headers_next(const struct pa_request *request, const char *name,
	uint32_t *at);

/* Value of a field that occurs exactly once; otherwise NULL. */
PA_AGENT const char *pa_headers_only(const struct pa_request *request, const char *name);

PA_AGENT bool pa_headers_has(const struct pa_request *request, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "headers.h"

#include <strings.h>

const char *pa_headers_next(const struct pa_request *request, const char *name, uint32_t *at)
{
	while (*at < request->header_count) {
		const struct pa_request_header *header = &request->headers[(*at)++];
		if (strcasecmp(header->name, name) == 0)
			return header->value;
	}
	return NULL;
}

const char *pa_headers_only(const struct pa_request *request, const char *name)
{
	uint32_t at = 0;
	const char *value = pa_headers_next(request, name, &at);
	return value && !pa_headers_next(request, name, &at) ? value : NULL;
}

bool pa_headers_has(const struct pa_request *request, const char *name)
{
	uint32_t at = 0;
	return pa_headers_next(request, name, &at) != NULL;
}

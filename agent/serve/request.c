/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <string.h>

enum pa_request_method pa_request_method_of(const char *method)
{
	static const char *const known[] = { "GET", "HEAD", "POST" };

	for (size_t i = 0; method && i < PA_COUNT(known); i++) {
		if (strcmp(method, known[i]) == 0)
			return (enum pa_request_method)i;
	}
	return PA_REQUEST_METHOD_OTHER;
}

bool pa_request_is_token(const char *text)
{
	static const char characters[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
					 "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	return strspn(text, characters) == strlen(text);
}

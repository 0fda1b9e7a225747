/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request as data, filled by http.c for the routes and endpoints.
 *
 * Context: PA_AGENT. All strings belong to the connection: valid until the response is complete,
 * never NULL, never copied into the header of a response.
 */
#ifndef PA_REQUEST_H
#define PA_REQUEST_H

#include "address.h"

enum pa_request_method {
	PA_REQUEST_METHOD_GET,
	PA_REQUEST_METHOD_HEAD,
	PA_REQUEST_METHOD_POST,
	PA_REQUEST_METHOD_OTHER
};

struct pa_request_header {
	const char *name, *value;
};

#define PA_REQUEST_HEADERS 64

struct pa_request {
	enum pa_request_method method;
	const char *path;                 /* as sent, with percent escapes, without the query */
	const char *query;                /* raw, without the '?'; "" if there is none */
	const char *peer;                 /* the client's address: "127.0.0.1", "[::1]", "unix" */
	struct pa_address client, server; /* both ends of the connection */
	int fd;                           /* of the connection, if server is known */
	uint32_t header_count;
	struct pa_request_header headers[PA_REQUEST_HEADERS];
};

/* OTHER: unknown, or NULL. */
PA_AGENT enum pa_request_method pa_request_method_of(const char *method);

/* RFC 9110, 5.6.2 and 9.1: a method is a token. */
PA_AGENT bool pa_request_is_token(const char *text);

#endif

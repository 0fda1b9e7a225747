/*
 * One HTTP request as data: what the parser of http.c hands to everything behind it.
 *
 * Context: PA_AGENT. All strings are the connection's: valid until the answer is complete, never
 * NULL, and never copied into the header of an answer.
 */
#ifndef PA_REQUEST_H
#define PA_REQUEST_H

#include <netinet/in.h>

#include "../base/base.h"

enum pa_request_method {
	PA_REQUEST_GET,
	PA_REQUEST_HEAD,
	PA_REQUEST_POST,
	PA_REQUEST_OTHER
};

struct pa_request_header {
	const char *name, *value;
};

#define PA_REQUEST_HEADERS 64

struct pa_request {
	enum pa_request_method method;
	const char *path;  /* as sent, percent signs and all, without the query */
	const char *query; /* raw, without the '?'; "" when there is none */
	const char *peer;  /* the client's address: "127.0.0.1" */
	struct sockaddr_in client, server; /* the ends of the connection; sin_family 0: unknown */
	uint32_t header_count;
	struct pa_request_header headers[PA_REQUEST_HEADERS];
};

#endif

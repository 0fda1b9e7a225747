/* SPDX-License-Identifier: Apache-2.0 */
#include "relay_request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "query.h"

#define END "\r\n"

/* Passed on as they are: civetweb has rejected values with line ends. */
static const char *const passed_on[] = { "Accept", "Accept-Encoding", "Authorization",
	"User-Agent" };

static const char *method_name(enum pa_request_method method)
{
	switch (method) {
	case PA_REQUEST_METHOD_HEAD: return "HEAD";
	case PA_REQUEST_METHOD_POST: return "POST";
	default: return "GET";
	}
}

static void add_host(struct pa_buffer *out, const struct pa_address *to)
{
	char text[PA_ADDRESS_TEXT_BYTES];
	bool has_port = to->family != AF_UNIX;

	pa_buffer_format(out, "Host: %s" END "Connection: close" END,
		has_port ? pa_address_text(to, text) : pa_address_host(to, text));
}

static void add_query(struct pa_buffer *out, const char *query)
{
	size_t size = strlen(query) + 1;
	char *left = malloc(size);

	if (!left) {
		out->failed = true;
		return;
	}
	pa_query_leave_out(query, PA_RELAY_REQUEST_PID, left, size);
	if (left[0])
		pa_buffer_format(out, "?%s", left);
	free(left);
}

static void pass_fields(struct pa_buffer *out, const struct pa_request *request)
{
	for (uint32_t i = 0; i < request->header_count; i++) {
		const struct pa_request_header *field = &request->headers[i];
		for (size_t n = 0; n < PA_COUNT(passed_on); n++) {
			if (strcasecmp(field->name, passed_on[n]) == 0)
				pa_buffer_format(out, "%s: %s" END, passed_on[n], field->value);
		}
	}
}

void pa_relay_request_write(struct pa_buffer *out, const struct pa_request *request, bool one_one,
	const struct pa_address *to)
{
	pa_buffer_format(out, "%s %s", method_name(request->method), request->path);
	add_query(out, request->query);
	pa_buffer_format(out, " HTTP/1.%d" END, one_one);
	add_host(out, to);
	pa_buffer_format(out, PA_RELAY_REQUEST_MARK ": %s" END, request->peer);
	pass_fields(out, request);
}

void pa_relay_request_confirm(struct pa_buffer *out, const struct pa_address *to, const char *token)
{
	pa_buffer_text(out, "GET /debug/pprof/agent?format=json HTTP/1.0" END);
	add_host(out, to);
	if (token[0])
		pa_buffer_format(out, "Authorization: Bearer %s" END, token);
	pa_buffer_text(out, END);
}

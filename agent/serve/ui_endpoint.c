/* SPDX-License-Identifier: Apache-2.0 */
#include "ui_endpoint.h"

#include <string.h>
#include <strings.h>

#include "ui_files.h"

/* No 'unsafe-inline' or 'unsafe-eval': a name that a profile contains is never code. */
#define POLICY                                                                          \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* True if parameters, up to a comma, refuse a coding: ";q=0", "; q=0.000" (RFC 9110, 12.4.2). */
static bool is_refused_coding(const char *parameters)
{
	parameters += strspn(parameters, "; \t");
	if (strncasecmp(parameters, "q=0", 3) != 0)
		return false;
	parameters += 3;
	parameters += strspn(parameters, ".0 \t");
	return *parameters == '\0' || *parameters == ',';
}

/* list: value of Accept-Encoding. */
static bool lists_gzip(const char *list)
{
	static const char gzip[] = "gzip";

	while (*list) {
		list += strspn(list, ", \t");
		size_t length = strcspn(list, ","), name = strcspn(list, ",; \t");
		if (name == strlen(gzip) && strncasecmp(list, gzip, name) == 0)
			return !is_refused_coding(list + name);
		list += length;
	}
	return false;
}

static bool accepts_gzip(const struct pa_request *request)
{
	for (uint32_t i = 0; i < request->header_count; i++) {
		const struct pa_request_header *header = &request->headers[i];
		if (strcasecmp(header->name, "Accept-Encoding") == 0 && lists_gzip(header->value))
			return true;
	}
	return false;
}

static void reply_ui_file(struct pa_http *http, const struct pa_request *request,
	const struct pa_ui_files_file *file)
{
	bool packed = accepts_gzip(request);
	const struct pa_http_head head = {
		.status = 200,
		.type = file->type,
		.encoding = packed ? "gzip" : NULL,
		.policy = POLICY,
		.length = (int64_t)(packed ? file->gzip_bytes : file->plain_bytes),
	};

	if (pa_http_begin(http, &head) &&
		pa_http_write(http, packed ? file->gzip : file->plain, (size_t)head.length))
		pa_http_end(http);
}

void pa_ui_endpoint_page(struct pa_http *http, const struct pa_request *request)
{
	reply_ui_file(http, request, &pa_ui_files_page);
}

void pa_ui_endpoint_style(struct pa_http *http, const struct pa_request *request)
{
	reply_ui_file(http, request, &pa_ui_files_style);
}

void pa_ui_endpoint_script(struct pa_http *http, const struct pa_request *request)
{
	reply_ui_file(http, request, &pa_ui_files_script);
}

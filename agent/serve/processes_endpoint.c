/* SPDX-License-Identifier: Apache-2.0 */
#include "processes_endpoint.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "headers.h"
#include "process_forms.h"
#include "query.h"
#include "reply.h"

/* Without a charset: the type that Prometheus documents for discovery. */
#define TYPE_TARGETS "application/json"

#define NO_PROC "/proc does not show the processes"
#define FORMAT_BYTES 16

typedef void form_fn(struct pa_buffer *out, const struct pa_process_tree *tree);

struct form {
	const char *name, *type;
	form_fn *write;
};

static const struct form forms[] = {
	{ "text", PA_REPLY_TEXT, pa_process_forms_text },
	{ "json", PA_REPLY_JSON, pa_process_forms_json },
	{ "html", PA_REPLY_HTML, pa_process_forms_html },
};

struct page {
	struct pa_buffer out;
	const struct form *form; /* NULL: targets */
	const char *host;        /* of targets */
};

static void write_page(void *arg, const struct pa_process_tree *tree)
{
	struct page *page = arg;

	if (page->form)
		page->form->write(&page->out, tree);
	else
		pa_process_forms_targets(&page->out, tree, page->host);
}

static void answer_page(struct pa_http *http, struct page *page)
{
	const char *type = page->form ? page->form->type : TYPE_TARGETS;

	if (!pa_process_tree_use(write_page, page))
		pa_reply_error(http, 500, NO_PROC);
	else if (page->out.failed)
		pa_reply_error(http, 500, "out of memory");
	else
		pa_reply_page(http, type, page->out.bytes, page->out.length);
	pa_buffer_free(&page->out);
}

/* Of a browser. */
static bool accepts_html(const struct pa_request *request)
{
	const char *value;
	uint32_t at = 0;

	while ((value = pa_headers_next(request, "Accept", &at))) {
		if (strcasestr(value, "text/html"))
			return true;
	}
	return false;
}

/* NULL: unknown. */
static const struct form *form_of(const struct pa_request *request)
{
	char format[FORMAT_BYTES];

	if (!pa_query_get(request->query, "format", format, sizeof(format)))
		snprintf(format, sizeof(format), accepts_html(request) ? "html" : "text");
	for (size_t i = 0; i < PA_COUNT(forms); i++) {
		if (strcmp(format, forms[i].name) == 0)
			return &forms[i];
	}
	return NULL;
}

void pa_processes_endpoint_answer(struct pa_http *http, const struct pa_request *request)
{
	struct page page = { .form = form_of(request) };

	if (page.form)
		answer_page(http, &page);
	else
		pa_reply_error(http, 400, "unknown format: there are text, json and html");
}

void pa_processes_endpoint_targets(struct pa_http *http, const struct pa_request *request)
{
	char address[PA_ADDRESS_TEXT_BYTES];
	struct page page = { .host = pa_headers_only(request, "Host") };

	/* HTTP/1.0 on an address where Host is not checked. */
	if (!page.host || !page.host[0])
		page.host = pa_address_text(&request->server, address);
	answer_page(http, &page);
}

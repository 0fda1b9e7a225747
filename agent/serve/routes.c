#include "routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../profile/snapshot.h"
#include "buffer.h"
#include "pages.h"
#include "profiles.h"
#include "query.h"
#include "reply.h"
#include "symbol.h"

#define PREFIX "/debug/pprof/"

/* More than the longest header that the gate lets through. */
#define PATH_BYTES 8200
#define LOCATION_BYTES 160
#define ROWS_MAX 32

typedef void answer_fn(struct pa_http *http, const struct pa_request *request);

struct route {
	const char *name;        /* behind PREFIX */
	answer_fn *answer;
	bool post;               /* takes POST as well */
	const char *description; /* in the index; NULL: not in it */
};

static struct {
	const struct pa_listen *listener;
} state;

void pa_routes_init(const struct pa_listen *listener)
{
	state.listener = listener;
}

static void reply_buffer(struct pa_http *http, const char *type, struct pa_buffer *buffer)
{
	if (buffer->failed)
		pa_reply_error(http, 500, "out of memory");
	else
		pa_reply_page(http, type, buffer->bytes, buffer->length);
	pa_buffer_free(buffer);
}

/* ---- pages ---- */

static void answer_agent(struct pa_http *http, const struct pa_request *request)
{
	struct pa_buffer page = { 0 };
	char format[8];

	pa_query_get(request->query, "format", format, sizeof(format));
	bool json = strcmp(format, "json") == 0;
	pa_pages_agent(&page, state.listener, json);
	reply_buffer(http, json ? PA_REPLY_JSON : PA_REPLY_TEXT, &page);
}

static void answer_cmdline(struct pa_http *http, const struct pa_request *request)
{
	struct pa_buffer page = { 0 };

	(void)request;
	if (pa_pages_cmdline(&page) != 0)
		page.failed = true;
	reply_buffer(http, PA_REPLY_TEXT, &page);
}

static answer_fn answer_index;

static const struct route routes[] = {
	{ "", answer_index, false, NULL },
	{ "agent", answer_agent, false, NULL },
	{ "cmdline", answer_cmdline, false,
		"The command line invocation of the current program" },
	{ "profile", pa_profiles_cpu, false, NULL }, /* described by its kind */
	{ "symbol", pa_symbol_answer, true,
		"Maps given program counters to function names. Counters can be specified in a GET "
		"raw query or POST body, multiple counters are separated by '+'." },
};

static int compare_rows(const void *a, const void *b)
{
	const struct pa_pages_row *left = a, *right = b;
	return strcmp(left->name, right->name);
}

static void answer_index(struct pa_http *http, const struct pa_request *request)
{
	struct pa_pages_row rows[ROWS_MAX];
	struct pa_buffer page = { 0 };
	size_t count = 0;

	(void)request;
	for (size_t i = 0; i < PA_COUNT(routes) && count < ROWS_MAX; i++) {
		if (routes[i].description)
			rows[count++] = (struct pa_pages_row){ routes[i].name,
				routes[i].description, 0 };
	}
	for (size_t i = 0; i < PA_KIND_COUNT && count < ROWS_MAX; i++)
		rows[count++] = (struct pa_pages_row){ pa_kinds[i].name, pa_kinds[i].description,
			pa_snapshot_count(pa_kinds[i].id) };
	qsort(rows, count, sizeof(rows[0]), compare_rows);
	pa_pages_index(&page, rows, count);
	reply_buffer(http, PA_REPLY_HTML, &page);
}

/* ---- which ---- */

/* What a path stands for: one of the three, or nothing. */
struct target {
	bool home; /* not below PREFIX, but leads there */
	const struct route *route;
	const struct pa_kind *kind;
};

static struct target find_target(const char *path)
{
	struct target target = { 0 };
	const char *name = path + strlen(PREFIX);

	if (strcmp(path, "/") == 0 || strcmp(path, "/debug/pprof") == 0) {
		target.home = true;
		return target;
	}
	if (strncmp(path, PREFIX, strlen(PREFIX)) != 0)
		return target;
	for (size_t i = 0; i < PA_COUNT(routes); i++) {
		if (strcmp(name, routes[i].name) == 0)
			target.route = &routes[i];
	}
	const struct pa_kind *kind = pa_kind_find(name);
	if (kind && kind->named)
		target.kind = kind;
	return target;
}

/* The parameters that are numbers, written anew: no byte of the request gets into a header. */
static void add_parameters(char *location, size_t size, const char *query)
{
	static const char *const names[] = { "debug", "gc", "seconds" };
	size_t length = strlen(location);
	char mark = '?', text[32];
	int64_t value;

	for (size_t i = 0; i < PA_COUNT(names); i++) {
		bool given = pa_query_get(query, names[i], text, sizeof(text)) &&
			pa_query_int(text, &value);
		if (!given || length >= size)
			continue;
		length += (size_t)snprintf(location + length, size - length, "%c%s=%lld", mark,
			names[i], (long long)value);
		mark = '&';
	}
}

static void move(struct pa_http *http, const struct target *target, const char *query)
{
	char location[LOCATION_BYTES];
	const char *name = target->kind ? target->kind->name
		: target->route         ? target->route->name
					: "";

	snprintf(location, sizeof(location), PREFIX "%s", name);
	add_parameters(location, sizeof(location), query);
	pa_reply_moved(http, location);
}

static bool is_method_good(enum pa_request_method method, bool post)
{
	return method == PA_REQUEST_GET || method == PA_REQUEST_HEAD ||
		(post && method == PA_REQUEST_POST);
}

void pa_routes_answer(struct pa_http *http, const struct pa_request *request,
	const struct pa_guard *guard)
{
	char path[PATH_BYTES];
	const char *why;
	int refused = pa_guard_check(guard, request, &why);

	if (refused) {
		pa_reply_error(http, refused, why);
		return;
	}
	enum pa_query_path kind = pa_query_path(request->path, path, sizeof(path));
	struct target target = { 0 };
	if (kind != PA_QUERY_PATH_BAD)
		target = find_target(path);
	bool post = target.route && target.route->post;
	if (!is_method_good(request->method, post))
		pa_reply_method(http, post);
	else if (kind == PA_QUERY_PATH_BAD)
		pa_reply_error(http, 400, pa_http_reason(400));
	else if (!target.home && !target.route && !target.kind)
		pa_reply_error(http, 404, "Unknown profile");
	else if (target.home || kind == PA_QUERY_PATH_OTHER)
		move(http, &target, request->query);
	else if (target.route)
		target.route->answer(http, request);
	else
		pa_profiles_named(http, request, target.kind);
}

void pa_routes_refuse(struct pa_http *http, int status)
{
	if (status == 405)
		pa_reply_method(http, false);
	else
		pa_reply_error(http, status, pa_http_reason(status));
}

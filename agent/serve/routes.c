#include "routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../profile/core.h"
#include "../profile/snapshot.h"
#include "buffer.h"
#include "fgprof.h"
#include "pages.h"
#include "profiles.h"
#include "query.h"
#include "reply.h"
#include "since.h"
#include "symbol.h"
#include "traces.h"

#define PREFIX "/debug/pprof/"

/* More than the longest header that the gate lets through. */
#define PATH_BYTES 8200
/* A name of which each byte is escaped, and the parameters. */
#define LOCATION_BYTES (sizeof(PREFIX) + 3 * PA_CUSTOM_NAME_BYTES + 128)
#define ROWS_MAX (32 + PA_CUSTOM_MAX)

typedef void answer_fn(struct pa_http *http, const struct pa_request *request);
typedef void of_kind_fn(struct pa_http *http, const struct pa_request *request,
	const struct pa_kind *kind);

struct route {
	const char *path;
	answer_fn *answer;       /* or NULL: of_kind */
	bool post;               /* takes POST as well */
	const char *description; /* in the index, for one below PREFIX; NULL: not in it */
	of_kind_fn *of_kind;
	enum pa_kind_id kind;
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

/*
 * What is not a profile by its own name. Below /pprof are the paths of gperftools, which pprof asks
 * for symbols there as well. Its growth has the stacks by which the heap grew: ours are all
 * allocations.
 */
static const struct route routes[] = {
	{ PREFIX, .answer = answer_index },
	{ PREFIX "agent", .answer = answer_agent },
	{ PREFIX "cmdline", .answer = answer_cmdline,
		.description = "The command line invocation of the current program" },
	{ PREFIX "profile", .answer = pa_profiles_cpu }, /* described by its kind */
	{ PREFIX "symbol", .answer = pa_symbol_answer, .post = true,
		.description = "Maps given program counters to function names. Counters can be "
			       "specified in a GET raw query or POST body, multiple counters are "
			       "separated by '+'." },
	{ PREFIX "trace", .answer = pa_traces_answer,
		.description = "A trace of execution of the current program. You can specify the "
			       "duration in the seconds GET parameter. After you get the trace "
			       "file, use the go tool trace command to investigate the trace." },
	{ PREFIX "delta_block", .of_kind = pa_since_answer, .kind = PA_KIND_BLOCK },
	{ PREFIX "delta_heap", .of_kind = pa_since_answer, .kind = PA_KIND_HEAP },
	{ PREFIX "delta_mutex", .of_kind = pa_since_answer, .kind = PA_KIND_MUTEX },
	{ "/debug/fgprof", .answer = pa_fgprof_answer },
	{ "/pprof/cmdline", .answer = answer_cmdline },
	{ "/pprof/contention", .of_kind = pa_profiles_named, .kind = PA_KIND_MUTEX },
	{ "/pprof/growth", .of_kind = pa_profiles_named, .kind = PA_KIND_ALLOCS },
	{ "/pprof/heap", .of_kind = pa_profiles_named, .kind = PA_KIND_HEAP },
	{ "/pprof/profile", .answer = pa_profiles_cpu },
	{ "/pprof/symbol", .answer = pa_symbol_answer, .post = true },
};

static int compare_rows(const void *a, const void *b)
{
	const struct pa_pages_row *left = a, *right = b;
	return strcmp(left->name, right->name);
}

static struct pa_pages_row row_of(const struct pa_kind *kind)
{
	return (struct pa_pages_row){ kind->name, kind->description, pa_snapshot_count_of(kind) };
}

static void answer_index(struct pa_http *http, const struct pa_request *request)
{
	struct pa_pages_row rows[ROWS_MAX];
	struct pa_buffer page = { 0 };
	uint32_t customs = pa_core_bridge->custom_total();
	size_t count = 0;

	(void)request;
	pa_snapshot_sync();
	for (size_t i = 0; i < PA_COUNT(routes) && count < ROWS_MAX; i++) {
		if (routes[i].description)
			rows[count++] = (struct pa_pages_row){ routes[i].path + strlen(PREFIX),
				routes[i].description, 0 };
	}
	for (size_t i = 0; i < PA_KIND_COUNT && count < ROWS_MAX; i++)
		rows[count++] = row_of(&pa_kinds[i]);
	for (uint32_t id = 0; id < customs && count < ROWS_MAX; id++) {
		const struct pa_kind *kind = pa_kind_custom(id);
		if (kind)
			rows[count++] = row_of(kind);
	}
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

/* What pa_query_path leaves escaped is in the names of the program's own profiles, if anywhere. */
static const struct pa_kind *find_kind(const char *escaped)
{
	char name[PA_CUSTOM_NAME_BYTES];
	size_t length = 0;

	while (*escaped && length < sizeof(name) - 1) {
		char digits[3] = { 0 };
		bool is_escape = *escaped == '%'; /* two digits follow, that was checked */
		if (is_escape)
			memcpy(digits, escaped + 1, 2);
		name[length] = is_escape ? (char)strtoul(digits, NULL, 16) : *escaped;
		if (!name[length++])
			return NULL;
		escaped += is_escape ? 3 : 1;
	}
	name[length] = '\0';
	return *escaped ? NULL : pa_kind_find(name);
}

static struct target find_target(const char *path)
{
	struct target target = { 0 };

	if (strcmp(path, "/") == 0 || strcmp(path, "/debug/pprof") == 0) {
		target.home = true;
		return target;
	}
	for (size_t i = 0; i < PA_COUNT(routes); i++) {
		if (strcmp(path, routes[i].path) == 0)
			target.route = &routes[i];
	}
	if (strncmp(path, PREFIX, strlen(PREFIX)) != 0)
		return target;
	const struct pa_kind *kind = find_kind(path + strlen(PREFIX));
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

/* As Go writes a path: what the program calls its profiles may need escapes. */
static void add_name(char *location, const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.~$&+,/:;=@";

	for (location += strlen(location); *name; name++) {
		bool as_it_is = strchr(plain, *name) != NULL;
		location += sprintf(location, as_it_is ? "%c" : "%%%02X", (unsigned char)*name);
	}
}

static void move(struct pa_http *http, const struct target *target, const char *query)
{
	char location[LOCATION_BYTES];

	snprintf(location, sizeof(location), "%s", target->route ? target->route->path : PREFIX);
	if (target->kind && !target->route)
		add_name(location, target->kind->name);
	add_parameters(location, sizeof(location), query);
	pa_reply_moved(http, location);
}

static void answer_route(struct pa_http *http, const struct pa_request *request,
	const struct route *route)
{
	if (route->answer)
		route->answer(http, request);
	else
		route->of_kind(http, request, &pa_kinds[route->kind]);
}

static bool is_method_good(enum pa_request_method method, bool post)
{
	return method == PA_REQUEST_GET || method == PA_REQUEST_HEAD ||
		(post && method == PA_REQUEST_POST);
}

static bool takes_post(const char *request_path)
{
	char path[PATH_BYTES];
	if (!request_path || pa_query_path(request_path, path, sizeof(path)) == PA_QUERY_PATH_BAD)
		return false;
	struct target target = find_target(path);
	return target.route && target.route->post;
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
		answer_route(http, request, target.route);
	else
		pa_profiles_named(http, request, target.kind);
}

void pa_routes_refuse(struct pa_http *http, int status, const char *path)
{
	if (status == 405)
		pa_reply_method(http, takes_post(path));
	else
		pa_reply_error(http, status, pa_http_reason(status));
}

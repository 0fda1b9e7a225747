/* SPDX-License-Identifier: Apache-2.0 */
#include "routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/core.h"
#include "../profile/allocators.h"
#include "../profile/profile_lookup.h"
#include "../profile/snapshot_take.h"
#include "buffer.h"
#include "fgprof.h"
#include "pages.h"
#include "processes_endpoint.h"
#include "profile_endpoints.h"
#include "query.h"
#include "relay.h"
#include "relay_request.h"
#include "reply.h"
#include "delta_endpoint.h"
#include "symbol_endpoint.h"
#include "trace_endpoint.h"
#include "tree_endpoint.h"
#include "ui_endpoint.h"

#define PREFIX "/debug/pprof/"
/* Before the name of a kind. */
#define DELTA "delta_"

/* Longer than the longest header that the connection queue accepts. */
#define PATH_BYTES 8200
/* A name with each byte escaped, and the parameters. */
#define LOCATION_BYTES (sizeof(PREFIX) + 3 * PA_CUSTOM_SET_NAME_BYTES + 512)
#define PID_BYTES 32
#define PARAMETER_BYTES 32
#define WORD_BYTES 16
#define ROWS_MAX (32 + PA_CUSTOM_SET_MAX)

typedef void answer_fn(struct pa_http *http, const struct pa_request *request);

struct route {
	const char *path;
	answer_fn *answer;       /* NULL: as the named profile does */
	bool post;               /* takes POST as well */
	bool open;               /* answered without the token */
	const char *description; /* in the index, for paths below PREFIX; NULL: not listed */
	const char *profile;     /* answer NULL: its name */
};

static struct {
	const struct pa_listen *listener;
	const struct pa_access *guard;
} state;

void pa_routes_init(const struct pa_listen *listener, const struct pa_access *guard)
{
	state.listener = listener;
	state.guard = guard;
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
	pa_allocators_look();
	pa_pages_agent(&page, state.listener, json);
	reply_buffer(http, json ? PA_REPLY_JSON : PA_REPLY_TEXT, &page);
}

static void answer_cmdline(struct pa_http *http, const struct pa_request *request)
{
	struct pa_buffer page = { 0 };

	(void)request;
	if (pa_pages_cmdline(&page) == 0)
		reply_buffer(http, PA_REPLY_TEXT, &page);
	else
		pa_reply_error(http, 500, "/proc does not show the command line");
}

static answer_fn answer_index;

/*
 * Paths that are not the name of a kind. /pprof has the paths of gperftools, where pprof also looks
 * for symbol. gperftools' growth profile shows the stacks that grew the heap: here it is all
 * allocations.
 */
static const struct route routes[] = {
	{ PREFIX, .answer = answer_index },
	{ PREFIX "agent", .answer = answer_agent },
	{ PREFIX "cmdline", .answer = answer_cmdline,
		.description = "The command line invocation of the current program" },
	{ PREFIX "processes", .answer = pa_processes_endpoint_answer },
	{ PREFIX "profile", .answer = pa_profile_endpoints_cpu }, /* its kind has the description */
	{ PREFIX "symbol", .answer = pa_symbol_endpoint_answer, .post = true,
		.description = "Maps given program counters to function names. Counters can be "
			       "specified in a GET raw query or POST body, multiple counters are "
			       "separated by '+'." },
	{ PREFIX "targets", .answer = pa_processes_endpoint_targets },
	{ PREFIX "trace", .answer = pa_trace_endpoint_answer,
		.description = "A trace of execution of the current program. You can specify the "
			       "duration in the seconds GET parameter. After you get the trace "
			       "file, use the go tool trace command to investigate the trace." },
	{ PREFIX "ui", .answer = pa_ui_endpoint_page, .open = true },
	{ PREFIX "ui.css", .answer = pa_ui_endpoint_style, .open = true },
	{ PREFIX "ui.js", .answer = pa_ui_endpoint_script, .open = true },
	{ "/debug/fgprof", .answer = pa_fgprof_answer },
	{ "/pprof/cmdline", .answer = answer_cmdline },
	{ "/pprof/contention", .profile = "mutex" },
	{ "/pprof/growth", .profile = "allocs" },
	{ "/pprof/heap", .profile = "heap" },
	{ "/pprof/profile", .answer = pa_profile_endpoints_cpu },
	{ "/pprof/symbol", .answer = pa_symbol_endpoint_answer, .post = true },
};

static int compare_rows(const void *a, const void *b)
{
	const struct pa_pages_row *left = a, *right = b;
	return strcmp(left->name, right->name);
}

static struct pa_pages_row index_row_of(const struct pa_profile_ops *kind)
{
	return (struct pa_pages_row){ kind->name, kind->description, pa_snapshot_count(kind) };
}

static void answer_index(struct pa_http *http, const struct pa_request *request)
{
	struct pa_pages_row rows[ROWS_MAX];
	struct pa_buffer page = { 0 };
	const struct pa_profile_ops *kind;
	size_t count = 0;

	(void)request;
	pa_snapshot_sync();
	pa_allocators_look();
	for (size_t i = 0; i < PA_COUNT(routes) && count < ROWS_MAX; i++) {
		if (routes[i].description)
			rows[count++] = (struct pa_pages_row){ routes[i].path + strlen(PREFIX),
				routes[i].description, 0 };
	}
	for (size_t n = 0; (kind = pa_profile_lookup_nth(n)) && count < ROWS_MAX; n++)
		if (kind->description)
			rows[count++] = index_row_of(kind);
	qsort(rows, count, sizeof(rows[0]), compare_rows);
	pa_pages_index(&page, rows, count);
	reply_buffer(http, PA_REPLY_HTML, &page);
}

/* ---- which ---- */

/* Target of a path: exactly one of the three, or none. */
struct target {
	bool home; /* redirects to PREFIX */
	const struct route *route;
	const struct pa_profile_ops *kind;
	bool delta; /* of kind: what changed since the last request of the same client */
};

/*
 * Decodes the escapes that pa_query_path leaves: only names chosen by the program can contain them.
 */
static const struct pa_profile_ops *find_kind(const char *escaped)
{
	char name[PA_CUSTOM_SET_NAME_BYTES];
	size_t length = 0;

	while (*escaped && length < sizeof(name) - 1) {
		char digits[3] = { 0 };
		bool is_escape = *escaped == '%'; /* two digits follow, pa_query_path has checked it
						   */
		if (is_escape)
			memcpy(digits, escaped + 1, 2);
		name[length] = is_escape ? (char)strtoul(digits, NULL, 16) : *escaped;
		if (!name[length++])
			return NULL;
		escaped += is_escape ? 3 : 1;
	}
	name[length] = '\0';
	return *escaped ? NULL : pa_profile_lookup(name);
}

static const struct pa_profile_ops *find_delta_kind(const char *name)
{
	if (strncmp(name, DELTA, strlen(DELTA)) != 0)
		return NULL;
	const struct pa_profile_ops *kind = pa_profile_lookup(name + strlen(DELTA));
	return kind && kind->has_delta_clients ? kind : NULL;
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
	path += strlen(PREFIX);
	target.kind = find_delta_kind(path);
	target.delta = target.kind != NULL;
	const struct pa_profile_ops *kind = target.delta ? NULL : find_kind(path);
	if (kind && kind->named)
		target.kind = kind;
	return target;
}

/* Replaces the value by the number that it is, formatted anew. False: it is none. */
static bool is_number_parameter(char value[PARAMETER_BYTES])
{
	int64_t number;

	if (!pa_query_int(value, &number))
		return false;
	snprintf(value, PARAMETER_BYTES, "%lld", (long long)number);
	return true;
}

/* A word as formats, labels and sample types are. */
static bool is_word_parameter(const char *value)
{
	size_t length = strspn(value, "abcdefghijklmnopqrstuvwxyz_");

	return length && length < WORD_BYTES && !value[length];
}

/* Numbers and words only: no byte of the request enters a header that means something there. */
static void add_parameters(char *location, size_t size, const char *query)
{
	static const struct {
		const char *name;
		bool word;
	} parameters[] = { { "debug", false }, { "format", true }, { "gc", false }, { "n", false },
		{ "pid", false }, { "seconds", false }, { "thread", true }, { "tree", false },
		{ "type", true } };
	size_t length = strlen(location);
	char mark = '?', value[PARAMETER_BYTES];

	for (size_t i = 0; i < PA_COUNT(parameters); i++) {
		if (!pa_query_get(query, parameters[i].name, value, sizeof(value)) ||
			!(parameters[i].word ? is_word_parameter(value) :
					       is_number_parameter(value)) ||
			length >= size)
			continue;
		length += (size_t)snprintf(location + length, size - length, "%c%s=%s", mark,
			parameters[i].name, value);
		mark = '&';
	}
}

/* Escapes as Go writes a path: names chosen by the program may need it. */
static void add_escaped_name(char *location, const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.~$&+,/:;=@";

	for (location += strlen(location); *name; name++) {
		bool as_it_is = strchr(plain, *name) != NULL;
		location += sprintf(location, as_it_is ? "%c" : "%%%02X", (unsigned char)*name);
	}
}

static void move_to_target(struct pa_http *http, const struct target *target, const char *query)
{
	char location[LOCATION_BYTES];

	snprintf(location, sizeof(location), "%s%s", target->route ? target->route->path : PREFIX,
		target->delta ? DELTA : "");
	if (target->kind && !target->route)
		add_escaped_name(location, target->kind->name);
	add_parameters(location, sizeof(location), query);
	pa_reply_moved(http, location);
}

static void answer_route(struct pa_http *http, const struct pa_request *request,
	const struct route *route)
{
	if (route->answer)
		route->answer(http, request);
	else
		pa_profile_endpoints_named(http, request, pa_profile_lookup(route->profile));
}

static bool is_method_good(enum pa_request_method method, bool post)
{
	return method == PA_REQUEST_METHOD_GET || method == PA_REQUEST_METHOD_HEAD ||
		(post && method == PA_REQUEST_METHOD_POST);
}

static bool takes_post(const char *request_path)
{
	char path[PATH_BYTES];
	if (!request_path || pa_query_path(request_path, path, sizeof(path)) == PA_QUERY_PATH_BAD)
		return false;
	struct target target = find_target(path);
	return target.route && target.route->post;
}

/* route: NULL if unknown. False: refused and answered. */
static bool may_answer(struct pa_http *http, const struct pa_request *request,
	const struct route *route)
{
	const char *why;
	int refused = route && route->open ? pa_access_check_open(state.guard, request, &why) :
					     pa_access_check(state.guard, request, &why);

	if (refused)
		pa_reply_error(http, refused, why);
	return !refused;
}

/*
 * Relays the request to the process in its parameter pid. False: it is for this process, and the
 * parameter is removed; query has room for what is left.
 */
static bool relay_request(struct pa_http *http, struct pa_request *request, const char *path,
	char query[PATH_BYTES])
{
	static const char *const prefixes[] = { PREFIX, "/debug/fgprof", "/pprof/" };
	char pid[PID_BYTES];
	bool below = false;

	for (size_t i = 0; i < PA_COUNT(prefixes); i++)
		below |= strncmp(path, prefixes[i], strlen(prefixes[i])) == 0;
	if (!below || !pa_query_get(request->query, PA_RELAY_REQUEST_PID, pid, sizeof(pid)))
		return false;
	if (pa_relay_answer(http, request, pid))
		return true;
	pa_query_leave_out(request->query, PA_RELAY_REQUEST_PID, query, PATH_BYTES);
	request->query = query;
	return false;
}

/* What the path serves of several processes at once. False: no profile that can be merged. */
static bool tree_path_of(const struct target *target, struct pa_tree_endpoint_path *path)
{
	const struct route *route = target->route;

	*path = (struct pa_tree_endpoint_path){ .prefix = target->delta ? DELTA : "" };
	if (target->kind)
		path->name = target->kind->name;
	else if (route && route->profile)
		path->name = route->profile;
	else if (route && route->answer == pa_profile_endpoints_cpu)
		path->name = "profile";
	else if (route && route->answer == pa_fgprof_answer)
		path->name = "fgprof";
	path->takes_time = route && route->answer;
	path->shows_changes = !path->takes_time && !target->delta;
	return path->name != NULL;
}

/* False: the request is not for a tree of processes. */
static bool answer_tree(struct pa_http *http, const struct pa_request *request,
	const struct target *target)
{
	const bool is_trace = target->route && target->route->answer == pa_trace_endpoint_answer;
	struct pa_tree_endpoint_path path;

	if (!pa_tree_endpoint_is_asked(request) || (!tree_path_of(target, &path) && !is_trace))
		return false;
	if (is_trace) {
		pa_reply_error(http, 400,
			"\"tree\" parameter is not supported for this profile type");
		return true;
	}
	if (pa_tree_endpoint_refuse(http, request))
		return true;
	if (request->method == PA_REQUEST_METHOD_HEAD)
		return false;
	pa_tree_endpoint_answer(http, request, &path);
	return true;
}

static void answer_own(struct pa_http *http, const struct pa_request *request,
	const struct target *target)
{
	if (answer_tree(http, request, target))
		return;
	if (target->route)
		answer_route(http, request, target->route);
	else if (target->delta)
		pa_delta_endpoint_answer(http, request, target->kind);
	else if (target->kind)
		pa_profile_endpoints_named(http, request, target->kind);
	else
		pa_reply_error(http, 404, "Unknown profile");
}

/* The client may ask. path: the cleaned path of the request. */
static void answer_path(struct pa_http *http, const struct pa_request *request,
	enum pa_query_path kind, const char *path, const struct target *target)
{
	char query[PATH_BYTES];
	struct pa_request own = *request;
	const bool post = target->route && target->route->post,
		   is_static = target->route && target->route->open;
	const bool known = target->home || target->route || target->kind;

	if (!is_method_good(request->method, post))
		pa_reply_method(http, post);
	else if (kind == PA_QUERY_PATH_BAD)
		pa_reply_error(http, 400, pa_http_reason(400));
	else if (known && (target->home || kind == PA_QUERY_PATH_OTHER))
		move_to_target(http, target, request->query);
	else if (is_static || kind == PA_QUERY_PATH_OTHER ||
		!relay_request(http, &own, path, query))
		answer_own(http, &own, target);
}

static void answer_request(struct pa_http *http, const struct pa_request *request)
{
	char path[PATH_BYTES];
	enum pa_query_path kind = pa_query_path(request->path, path, sizeof(path));
	struct target target = { 0 };

	if (kind != PA_QUERY_PATH_BAD)
		target = find_target(path);
	if (!may_answer(http, request, kind == PA_QUERY_PATH_CLEAN ? target.route : NULL))
		return;
	answer_path(http, request, kind, path, &target);
}

static void refuse_request(struct pa_http *http, int status, const char *path)
{
	if (status == 405)
		pa_reply_method(http, takes_post(path));
	else
		pa_reply_error(http, status, pa_http_reason(status));
}

const struct pa_http_handlers pa_routes_handlers = {
	.answer = answer_request,
	.refuse = refuse_request,
};

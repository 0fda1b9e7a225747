/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/profile/snapshot_take.h"
#include "agent/serve/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/c/fake_http.h"
#include "test/lib/c/fake_profiles.h"

static struct pa_http http;
static struct pa_access guard;

static int set_up(void **unused)
{
	(void)unused;
	fake_reset();
	guard = (struct pa_access){ .host = "", .hosts = "", .token = "" };
	http = http_new();
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	http_free(&http);
	return 0;
}

/* Answers to the method and "path?query"; the status. */
static int ask(enum pa_request_method method, const char *target)
{
	char path[512];
	http_free(&http);
	http = http_new();
	http.head_only = method == PA_REQUEST_METHOD_HEAD;
	snprintf(path, sizeof(path), "%s", target);
	char *query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	const struct pa_request request = {
		.method = method, .path = path, .query = query ? query : "", .peer = "127.0.0.1"
	};
	pa_routes_init(NULL, &guard);
	pa_routes_handlers.answer(&http, &request);
	assert_true(http.begun && http.ended);
	return http.head.status;
}

static int get(const char *target)
{
	return ask(PA_REQUEST_METHOD_GET, target);
}

static void moves_to(const char *target, const char *location)
{
	char body[256];
	assert_int_equal(get(target), 301);
	assert_string_equal(http.location, location);
	assert_string_equal(http.head.type, "text/html; charset=utf-8");
	if (!strchr(location, '&')) {
		snprintf(body, sizeof(body), "<a href=\"%s\">Moved Permanently</a>.\n\n", location);
		assert_string_equal(http.bytes, body);
	}
}

static void roots_lead_to_the_index(void **unused)
{
	(void)unused;
	moves_to("/", "/debug/pprof/");
	moves_to("/debug/pprof", "/debug/pprof/");
}

static void index_names_what_is_served(void **unused)
{
	const char *const names[] = { "allocs", "block", "cmdline", "goroutine", "heap", "mutex",
		"profile", "symbol", "threadcreate" };
	const char *last = NULL;
	(void)unused;
	assert_int_equal(get("/debug/pprof/"), 200);
	assert_string_equal(http.head.type, "text/html; charset=utf-8");
	for (size_t i = 0; i < PA_COUNT(names); i++) {
		const struct pa_profile_ops *kind = pa_profile_lookup(names[i]);
		char row[96];
		snprintf(row, sizeof(row), "<tr><td>%zu</td><td><a href='%s?debug=1'>",
			kind ? pa_snapshot_count(kind) : 0, names[i]);
		const char *found = strstr(http.bytes, row);
		assert_non_null(found);
		assert_true(!last || found > last); /* sorted */
		last = found;
		assert_int_equal(fake.synced, 1); /* counts of what was recorded so far */
	}
	assert_non_null(strstr(http.bytes, "<td>0</td><td><a href='profile"));
	assert_non_null(strstr(http.bytes,
		"<a href=\"goroutine?debug=2\">full goroutine stack dump</a>"));
	assert_non_null(strstr(http.bytes,
		"<div class=profile-name>goroutine: </div> goroutine</li>"));
	assert_non_null(strstr(http.bytes, "separated by &#39;+&#39;."));
}

static void each_path_has_its_handler(void **unused)
{
	(void)unused;
	assert_int_equal(get("/debug/pprof/heap"), 200);
	assert_string_equal(http.disposition, "attachment; filename=\"heap\"");
	assert_int_equal(get("/debug/pprof/allocs?debug=1"), 200);
	assert_ptr_equal(strstr(http.bytes, "text allocs"), http.bytes);
	assert_int_equal(get("/debug/pprof/block"), 200);
	assert_string_equal(http.disposition, "attachment; filename=\"block\"");
	assert_int_equal(get("/debug/pprof/mutex?seconds=3"), 200);
	assert_string_equal(http.disposition, "attachment; filename=\"mutex-delta\"");
	assert_int_equal(http.waited_ns, 3 * PA_NS_PER_S);
	assert_int_equal(get("/debug/pprof/goroutine?debug=2"), 200);
	assert_ptr_equal(strstr(http.bytes, "text goroutine"), http.bytes);
	assert_int_equal(fake.details, 1);
	assert_int_equal(get("/debug/pprof/threadcreate"), 200);
	assert_string_equal(http.disposition, "attachment; filename=\"threadcreate\"");
	assert_int_equal(get("/debug/pprof/profile?seconds=2"), 200);
	assert_int_equal(http.waited_ns, 2 * PA_NS_PER_S);
	assert_int_equal(get("/debug/pprof/symbol?0x1000"), 200);
	assert_non_null(strstr(http.bytes, "0x1000 app::hot"));
	assert_int_equal(get("/debug/pprof/cmdline"), 200);
	assert_non_null(strstr(http.bytes, "test_routes"));
	assert_int_equal(get("/debug/pprof/agent"), 200);
	assert_string_equal(http.head.type, "text/plain; charset=utf-8");
	assert_int_equal(get("/debug/pprof/agent?format=json"), 200);
	assert_string_equal(http.head.type, "application/json; charset=utf-8");
	assert_int_equal(http.bytes[0], '{');
}

static void paths_of_scrapers_are_served_but_not_listed(void **unused)
{
	const char *const kinds[] = { "block", "heap", "mutex" };
	char path[64], disposition[64];
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(kinds); i++) {
		snprintf(path, sizeof(path), "/debug/pprof/delta_%s?debug=1", kinds[i]);
		snprintf(disposition, sizeof(disposition), "attachment; filename=\"delta_%s\"",
			kinds[i]);
		assert_int_equal(get(path), 200);
		assert_string_equal(http.disposition, disposition);
		assert_string_equal(http.head.type, "application/octet-stream");
	}
	assert_int_equal(ask(PA_REQUEST_METHOD_HEAD, "/debug/fgprof"), 200);
	assert_string_equal(http.disposition, "attachment; filename=\"fgprof\"");
	assert_int_equal(get("/debug/pprof/"), 200);
	assert_null(strstr(http.bytes, "delta_"));
	assert_null(strstr(http.bytes, "fgprof"));
}

/* The paths of gperftools, and what they are here. */
static const char *const aliases[][2] = {
	{ "/pprof/heap", "/debug/pprof/heap" },
	{ "/pprof/heap?debug=1", "/debug/pprof/heap?debug=1" },
	{ "/pprof/heap?seconds=x", "/debug/pprof/heap?seconds=x" },
	{ "/pprof/heap?seconds=1&debug=1", "/debug/pprof/heap?seconds=1&debug=1" },
	{ "/pprof/growth", "/debug/pprof/allocs" },
	{ "/pprof/contention", "/debug/pprof/mutex" },
	{ "/pprof/contention?seconds=2", "/debug/pprof/mutex?seconds=2" },
	{ "/pprof/profile?seconds=3", "/debug/pprof/profile?seconds=3" },
	{ "/pprof/profile?seconds=x", "/debug/pprof/profile" },
	{ "/pprof/symbol", "/debug/pprof/symbol" },
	{ "/pprof/symbol?0x1000", "/debug/pprof/symbol?0x1000" },
	{ "/pprof/cmdline", "/debug/pprof/cmdline" },
};

static void paths_of_gperftools_are_answered_like_ours(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(aliases); i++) {
		for (int head = 0; head < 2; head++) {
			enum pa_request_method method =
				head ? PA_REQUEST_METHOD_HEAD : PA_REQUEST_METHOD_GET;
			fake_reset();
			int status = ask(method, aliases[i][1]);
			struct pa_http ours = http;
			fake_reset();
			http = http_new();
			assert_int_equal(ask(method, aliases[i][0]), status);
			assert_string_equal(http.head.type, ours.head.type);
			assert_string_equal(http.disposition, ours.disposition);
			assert_int_equal(http.head.pprof_error, ours.head.pprof_error);
			assert_int_equal(http.waited_ns, ours.waited_ns);
			assert_int_equal(http.count, ours.count);
			assert_memory_equal(http.bytes, ours.bytes, ours.count);
			http_free(&ours);
		}
	}
	assert_int_equal(ask(PA_REQUEST_METHOD_POST, "/pprof/symbol"), 200);
	assert_int_equal(ask(PA_REQUEST_METHOD_POST, "/pprof/heap"), 405);
	assert_string_equal(http.head.allow, "GET, HEAD");
}

static void unknown_paths_are_unknown_profiles(void **unused)
{
	const char *const unknown[] = { "/debug/pprof/nosuch", "/debug/pprof/cmdline/", "/x",
		"/debug", "/debug/", "/favicon.ico", "/debug/pprof/%3Cscript%3Escripty%3Cscript%3E",
		"/debug/pprof%2fheap", "/debug/pprof/heap%00", "/debug/pprof/..%2fheap",
		"/debug/pprof/nosuch?seconds=x", "/debug/pprof/HEAP", "/../etc/passwd",
		"/debug/pprof/example.com/my.custom", "/pprof", "/pprof/", "/pprof/pmuprofile",
		"/pprof/block", "/pprof/allocs", "/pprof/agent", "/debug/pprof/growth",
		"/debug/pprof/contention", "/debug/pprof/fgprof", "/debug/fgprof/", "/fgprof",
		"/debug/pprof/delta_allocs", "/pprof/delta_heap", "/debug/pprof/delta_heap/" };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(unknown); i++) {
		assert_int_equal(get(unknown[i]), 404);
		assert_string_equal(http.bytes, "Unknown profile\n");
		assert_string_equal(http.head.type, "text/plain; charset=utf-8");
		assert_true(http.head.pprof_error);
		assert_string_equal(http.disposition, "");
	}
}

static void unclean_paths_move_to_clean_ones(void **unused)
{
	(void)unused;
	moves_to("/debug/pprof//heap", "/debug/pprof/heap");
	moves_to("/debug//pprof/", "/debug/pprof/");
	moves_to("/debug/./pprof", "/debug/pprof/");
	moves_to("/x/../debug/pprof/cmdline", "/debug/pprof/cmdline");
	moves_to("/pprof//heap?debug=1", "/pprof/heap?debug=1");
	moves_to("//pprof/growth", "/pprof/growth");
	moves_to("/debug/./fgprof?seconds=5", "/debug/fgprof?seconds=5");
	moves_to("/debug//pprof/delta_heap", "/debug/pprof/delta_heap");
	assert_int_equal(get("/debug/pprof//nosuch"), 404);
}

static void only_numbers_and_words_of_the_query_move_along(void **unused)
{
	(void)unused;
	moves_to("/debug/pprof//heap?debug=1", "/debug/pprof/heap?debug=1");
	moves_to("/debug/pprof//heap?x=y&seconds=%2B05&gc=1", "/debug/pprof/heap?gc=1&seconds=5");
	moves_to("/debug/pprof//heap?debug=1%0d%0aX:y", "/debug/pprof/heap");
	moves_to("/debug/pprof//heap?type=inuse_space&thread=off&n=%2B7&format=top",
		"/debug/pprof/heap?format=top&n=7&thread=off&type=inuse_space");
	moves_to("/debug/pprof//heap?format=top%0d%0aX:y&type=&thread=Off&n=x",
		"/debug/pprof/heap");
	moves_to("/debug/pprof//heap?format=abcdefghijklmnop&type=abcdefghijklmno",
		"/debug/pprof/heap?type=abcdefghijklmno");
	moves_to("/debug/pprof//heap?debug=9223372036854775807&gc=-9223372036854775808&"
		 "seconds=9223372036854775807",
		"/debug/pprof/heap?debug=9223372036854775807&gc=-9223372036854775808&"
		"seconds=9223372036854775807");
}

static void gets_400(const char *target, const char *text)
{
	assert_int_equal(get(target), 400);
	assert_true(http.head.pprof_error);
	assert_string_equal(http.bytes, text);
}

static void trees_are_of_protos_only(void **unused)
{
	static const char with_debug[] = "tree and debug params are incompatible\n",
			  with_format[] = "tree and format params are incompatible\n";
	(void)unused;
	gets_400("/debug/pprof/heap?tree=1&debug=1", with_debug);
	gets_400("/debug/pprof/profile?debug=1&tree=2", with_debug);
	gets_400("/pprof/growth?tree=1&debug=-1", with_debug);
	gets_400("/debug/pprof/delta_heap?tree=1&debug=1", with_debug);
	gets_400("/debug/pprof/goroutine?tree=1&format=top", with_format);
	gets_400("/debug/fgprof?tree=1&format=folded", with_format);
	gets_400("/debug/pprof/trace?tree=1",
		"\"tree\" parameter is not supported for this profile type\n");
	assert_int_equal(ask(PA_REQUEST_METHOD_HEAD, "/debug/pprof/heap?tree=1&debug=1"), 400);
}

static void paths_without_trees_ignore_the_parameter(void **unused)
{
	static const char *const paths[] = { "/debug/pprof/heap?debug=1&tree=0",
		"/debug/pprof/heap?debug=1&tree=x", "/debug/pprof/cmdline?tree=1",
		"/debug/pprof/?tree=1", "/debug/pprof/symbol?tree=1" };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(paths); i++)
		assert_int_equal(get(paths[i]), 200);
	assert_int_equal(get("/debug/pprof/nothing?tree=1"), 404);
	assert_int_equal(ask(PA_REQUEST_METHOD_HEAD, "/debug/pprof/heap?tree=1"), 200);
	assert_string_equal(http.disposition, "attachment; filename=\"heap\"");
}

static void bad_escapes_are_400(void **unused)
{
	(void)unused;
	assert_int_equal(get("/debug/pprof/%zz"), 400);
	assert_string_equal(http.bytes, "Bad Request\n");
	assert_true(http.head.pprof_error);
}

static void post_is_for_symbol_only(void **unused)
{
	const char *const others[] = { "/", "/debug/pprof/", "/debug/pprof/heap",
		"/debug/pprof/nosuch", "/debug/pprof/%zz", "/debug/pprof/profile",
		"/debug/pprof/delta_heap", "/debug/fgprof" };
	(void)unused;
	assert_int_equal(ask(PA_REQUEST_METHOD_POST, "/debug/pprof/symbol"), 200);
	for (size_t i = 0; i < PA_COUNT(others); i++) {
		assert_int_equal(ask(PA_REQUEST_METHOD_POST, others[i]), 405);
		assert_string_equal(http.head.allow, "GET, HEAD");
		assert_true(http.head.pprof_error);
	}
	assert_int_equal(fake.taken, 0);
}

static void other_methods_are_405(void **unused)
{
	(void)unused;
	assert_int_equal(ask(PA_REQUEST_METHOD_OTHER, "/debug/pprof/heap"), 405);
	assert_string_equal(http.head.allow, "GET, HEAD");
	assert_int_equal(ask(PA_REQUEST_METHOD_OTHER, "/debug/pprof/symbol"), 405);
	assert_string_equal(http.head.allow, "GET, HEAD, POST");
}

static void head_is_answered_like_get_without_body(void **unused)
{
	const char *const targets[] = { "/", "/debug/pprof/", "/debug/pprof/cmdline",
		"/debug/pprof/agent", "/debug/pprof/heap", "/debug/pprof/heap?debug=1",
		"/debug/pprof/nosuch", "/debug/pprof/heap?seconds=x", "/debug/pprof/block",
		"/debug/pprof/goroutine?debug=2", "/debug/pprof/mutex?debug=-1",
		"/debug/pprof/threadcreate?seconds=1", "/debug/pprof/delta_heap",
		"/debug/pprof/delta_mutex", "/debug/fgprof?seconds=x", "/debug/fgprof?format=x" };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(targets); i++) {
		int status = get(targets[i]);
		char type[64], disposition[128];
		snprintf(type, sizeof(type), "%s", http.head.type);
		snprintf(disposition, sizeof(disposition), "%s", http.disposition);
		assert_int_equal(ask(PA_REQUEST_METHOD_HEAD, targets[i]), status);
		assert_string_equal(http.head.type, type);
		assert_string_equal(http.disposition, disposition);
		assert_int_equal(http.count, 0);
	}
}

static void guard_comes_first(void **unused)
{
	(void)unused;
	guard.loopback = true;
	assert_int_equal(get("/debug/pprof/heap"), 403);
	assert_true(http.head.pprof_error);
	assert_int_equal(ask(PA_REQUEST_METHOD_OTHER, "/debug/pprof/heap"), 403);
	guard.loopback = false;
	guard.token = "t";
	assert_int_equal(get("/debug/pprof/nosuch"), 401);
	assert_int_equal(get("/debug/pprof/heap?token=t"), 200);
	assert_int_equal(fake.taken, 1);
}

static void the_page_needs_no_token(void **unused)
{
	(void)unused;
	guard.token = "t";
	assert_int_equal(get("/debug/pprof/ui"), 200);
	assert_int_equal(get("/debug/pprof/ui.css"), 200);
	assert_int_equal(get("/debug/pprof/ui.js"), 200);
	assert_int_equal(get("/debug/pprof/ui?token=wrong"), 200);
	assert_int_equal(ask(PA_REQUEST_METHOD_POST, "/debug/pprof/ui"), 405);
	assert_int_equal(get("/debug/pprof//ui"), 401); /* a redirect is no constant */
	assert_int_equal(get("/debug/pprof/ui/"), 401);
	guard.loopback = true;
	assert_int_equal(get("/debug/pprof/ui"), 403);
}

static void unreadable_requests_get_an_error(void **unused)
{
	(void)unused;
	pa_routes_handlers.refuse(&http, 400, NULL);
	assert_int_equal(http.head.status, 400);
	assert_true(http.head.pprof_error);
	http_free(&http);
	http = http_new();
	pa_routes_handlers.refuse(&http, 405, "/debug/pprof/heap");
	assert_string_equal(http.head.allow, "GET, HEAD");
	http_free(&http);
	http = http_new();
	pa_routes_handlers.refuse(&http, 405, "/debug//pprof/symbol");
	assert_string_equal(http.head.allow, "GET, HEAD, POST");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(roots_lead_to_the_index),
		TEST(index_names_what_is_served),
		TEST(each_path_has_its_handler),
		TEST(the_page_needs_no_token),
		TEST(paths_of_scrapers_are_served_but_not_listed),
		TEST(paths_of_gperftools_are_answered_like_ours),
		TEST(unknown_paths_are_unknown_profiles),
		TEST(unclean_paths_move_to_clean_ones),
		TEST(only_numbers_and_words_of_the_query_move_along),
		TEST(trees_are_of_protos_only),
		TEST(paths_without_trees_ignore_the_parameter),
		TEST(bad_escapes_are_400),
		TEST(post_is_for_symbol_only),
		TEST(other_methods_are_405),
		TEST(head_is_answered_like_get_without_body),
		TEST(guard_comes_first),
		TEST(unreadable_requests_get_an_error),
	};
	return cmocka_run_group_tests(tests, fake_start, NULL);
}

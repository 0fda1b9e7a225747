/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles of the program's own, as they are served and listed. */
#include "test/lib/c/ask_profiles.h"

#include "agent/serve/routes.h"

#define NAME "example.com/my.custom"
#define ODD "a b/\"c\\?<d>'\xc3\xa9"

static int with_profiles(void **unused)
{
	set_up(unused);
	fake_add_custom(NAME, 41);
	fake_add_custom(ODD, 2);
	return 0;
}

static void ask_for(const char *name, const char *query)
{
	again();
	fake_add_custom(NAME, 41);
	fake_add_custom(ODD, 2);
	named(name, query);
}

/* Through the routes; the status. */
static int get(const char *path, const char *query)
{
	const struct pa_access guard = { .host = "", .hosts = "", .token = "" };
	const struct pa_request request = {
		.method = PA_REQUEST_METHOD_GET, .path = path, .query = query
	};
	http_free(&http);
	http = http_new();
	pa_routes_init(NULL, &guard);
	pa_routes_handlers.answer(&http, &request);
	assert_true(http.begun && http.ended);
	return http.head.status;
}

static void they_are_served_as_proto_and_text(void **unused)
{
	(void)unused;
	named(NAME, "");
	is_binary("attachment; filename=\"" NAME "\"", "proto " NAME " 1 duration 0\n");
	ask_for(NAME, "debug=1");
	assert_string_equal(http.head.type, "text/plain; charset=utf-8");
	assert_string_equal(http.disposition, "");
	assert_string_equal(http.bytes, "text " NAME " 1 duration 0\n");
	ask_for(NAME, "debug=-1");
	assert_string_equal(http.head.type, "text/plain; charset=utf-8");
	assert_string_equal(http.bytes, "proto " NAME " 1 duration 0\n");
	ask_for(NAME, "seconds=&gc=1");
	is_binary("attachment; filename=\"" NAME "\"", "proto " NAME " 1 duration 0\n");
}

static void their_deltas_are_refused_in_go_s_order(void **unused)
{
	const char *const bad[] = { "seconds=x", "seconds=0", "seconds=-1&debug=1" };
	const char *const good[] = { "seconds=1", "seconds=1&debug=1" };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(bad); i++) {
		ask_for(NAME, bad[i]);
		is_error(400, "invalid value for \"seconds\" - must be a positive integer\n");
	}
	for (size_t i = 0; i < PA_COUNT(good); i++) {
		ask_for(NAME, good[i]);
		is_error(400, "\"seconds\" parameter is not supported for this profile type\n");
		assert_int_equal(fake.taken, 0);
		assert_int_equal(http.waited_ns, 0);
	}
}

/* A header's quotes end where they should. */
static void quotes_of_a_name_stay_out_of_the_header(void **unused)
{
	(void)unused;
	named(ODD, "");
	is_binary("attachment; filename=\"a b/_c_?<d>'\xc3\xa9\"", "proto " ODD " 1 duration 0\n");
}

static void snapshot_that_fails_is_an_error(void **unused)
{
	(void)unused;
	fake.take_fails = true;
	named(NAME, "");
	is_error(500, "failed to collect profile\n");
}

static void slashes_are_part_of_a_name(void **unused)
{
	(void)unused;
	assert_int_equal(get("/debug/pprof/" NAME, "debug=1"), 200);
	assert_string_equal(http.bytes, "text " NAME " 1 duration 0\n");
	assert_int_equal(get("/debug/pprof/example.com%2Fmy.custom", ""), 200);
	assert_int_equal(get("/debug/pprof/a%20b/%22c%5C%3F%3Cd%3E'%C3%A9", ""), 200);
	assert_int_equal(get("/debug/pprof/example.com%2Fmy.custom%00", ""), 404);
	assert_int_equal(get("/debug/pprof/example.com%2Fmy.custom%2", ""), 400);
	assert_int_equal(get("/debug/pprof/example.com", ""), 404);
	assert_int_equal(get("/debug/pprof/my.custom", ""), 404);
	assert_int_equal(get("/debug/pprof/" NAME "/", ""), 404);
	assert_int_equal(get("/" NAME, ""), 404);
	fake.custom_total = 0;
	assert_int_equal(get("/debug/pprof/" NAME, ""), 404);
	assert_string_equal(http.bytes, "Unknown profile\n");
}

static void path_that_leads_there_is_escaped_when_it_is_moved(void **unused)
{
	(void)unused;
	assert_int_equal(get("/debug//pprof/" NAME, "debug=1"), 301);
	assert_string_equal(http.location, "/debug/pprof/" NAME "?debug=1");
	assert_int_equal(get("/debug//pprof/a%20b/%22c%5C%3F%3Cd%3E'%C3%A9", ""), 301);
	assert_string_equal(http.location, "/debug/pprof/a%20b/%22c%5C%3F%3Cd%3E%27%C3%A9");
}

static void index_lists_them_with_their_counts(void **unused)
{
	(void)unused;
	assert_int_equal(get("/debug/pprof/", ""), 200);
	const char *row = strstr(http.bytes,
		"<tr><td>41</td><td><a href='" NAME "?debug=1'>" NAME "</a></td></tr>\n");
	assert_non_null(row);
	assert_true(row > strstr(http.bytes, "'cmdline?debug=1'"));
	assert_true(row < strstr(http.bytes, "'goroutine?debug=1'"));
	assert_non_null(strstr(http.bytes, "<li><div class=profile-name>" NAME ": </div> </li>\n"));
	row = strstr(http.bytes,
		"<tr><td>2</td><td><a href="
		"'a%20b/%22c%5C%3F%3Cd%3E%27%C3%A9?debug=1'>"
		"a b/&#34;c\\?&lt;d&gt;&#39;\xc3\xa9</a></td></tr>\n");
	assert_non_null(row);
	assert_true(row < strstr(http.bytes, "'allocs?debug=1'"));
	fake.custom_total = 0;
	assert_int_equal(get("/debug/pprof/", ""), 200);
	assert_null(strstr(http.bytes, NAME));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(they_are_served_as_proto_and_text, with_profiles,
			tear_down),
		cmocka_unit_test_setup_teardown(their_deltas_are_refused_in_go_s_order,
			with_profiles, tear_down),
		cmocka_unit_test_setup_teardown(quotes_of_a_name_stay_out_of_the_header,
			with_profiles, tear_down),
		cmocka_unit_test_setup_teardown(snapshot_that_fails_is_an_error, with_profiles,
			tear_down),
		cmocka_unit_test_setup_teardown(slashes_are_part_of_a_name, with_profiles,
			tear_down),
		cmocka_unit_test_setup_teardown(path_that_leads_there_is_escaped_when_it_is_moved,
			with_profiles, tear_down),
		cmocka_unit_test_setup_teardown(index_lists_them_with_their_counts, with_profiles,
			tear_down),
	};
	return cmocka_run_group_tests(tests, fake_start, NULL);
}

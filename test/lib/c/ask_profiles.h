/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of profile_endpoints.c share: a request, and what its answer has to be.
 */
#ifndef ASK_PROFILES_H
#define ASK_PROFILES_H

#include "agent/serve/profile_endpoints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/c/fake_http.h"
#include "test/lib/c/fake_profiles.h"

static struct pa_http http;

static int set_up(void **unused)
{
	(void)unused;
	fake_reset();
	http = http_new();
	return 0;
}

static int watches_of(const struct pa_profile_ops *kind)
{
	return fake_watching(kind);
}

static void nobody_watches(void)
{
	for (size_t i = 0; pa_profile_list[i]; i++)
		assert_int_equal(watches_of(pa_profile_list[i]), 0);
}

static int tear_down(void **unused)
{
	(void)unused;
	assert_int_equal(fake.cpu_running, 0);
	nobody_watches();
	http_free(&http);
	return 0;
}

static void again(void)
{
	nobody_watches();
	http_free(&http);
	fake_reset();
	http = http_new();
}

static struct pa_request request_of(const char *query)
{
	return (struct pa_request){
		.method = http.head_only ? PA_REQUEST_METHOD_HEAD : PA_REQUEST_METHOD_GET,
		.path = "",
		.query = query,
	};
}

static void named(const char *name, const char *query)
{
	const struct pa_request request = request_of(query);
	pa_profile_endpoints_named(&http, &request, pa_profile_lookup(name));
	assert_true(http.begun);
}

static void is_binary(const char *disposition, const char *body)
{
	assert_true(http.ended);
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.head.type, "application/octet-stream");
	assert_string_equal(http.disposition, disposition);
	assert_false(http.head.pprof_error);
	assert_string_equal(http.bytes, body);
}

static inline void is_text(const char *body)
{
	assert_true(http.ended);
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.head.type, "text/plain; charset=utf-8");
	assert_string_equal(http.disposition, "");
	assert_false(http.head.pprof_error);
	assert_string_equal(http.bytes, body);
}

static void is_error(int status, const char *body)
{
	assert_true(http.ended);
	assert_int_equal(http.head.status, status);
	assert_string_equal(http.head.type, "text/plain; charset=utf-8");
	assert_string_equal(http.disposition, "");
	assert_true(http.head.pprof_error);
	assert_string_equal(http.bytes, body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif

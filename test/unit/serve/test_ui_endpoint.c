/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/ui_endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/serve/answer_head.h"
#include "agent/serve/ui_files.h"
#include "test/lib/c/fake_http.h"

static struct pa_http http;

static int tear_down(void **unused)
{
	(void)unused;
	http_free(&http);
	return 0;
}

/* Asks for the script, with that Accept-Encoding unless it is NULL. */
static const char *encoding_for(const char *accepted)
{
	struct pa_request request = { .path = "", .query = "", .peer = "" };

	http_free(&http);
	http = http_new();
	request.headers[request.header_count++] = (struct pa_request_header){ "Accept", "gzip" };
	if (accepted)
		request.headers[request.header_count++] =
			(struct pa_request_header){ "accept-encoding", accepted };
	pa_ui_endpoint_script(&http, &request);
	assert_true(http.begun && http.ended);
	assert_int_equal(http.head.status, 200);
	assert_int_equal(http.head.length, http.count);
	return http.head.encoding ? http.head.encoding : "plain";
}

static void compressed_where_accepted(void **unused)
{
	(void)unused;
	assert_string_equal(encoding_for("gzip"), "gzip");
	assert_memory_equal(http.bytes, "\x1f\x8b", 2);
	assert_int_equal(http.count, pa_ui_files_script.gzip_bytes);
	assert_string_equal(encoding_for("deflate, GZIP;q=0.5, br"), "gzip");
	assert_string_equal(encoding_for("br ,\tgzip ;q=1"), "gzip");
	assert_string_equal(encoding_for("gzip; q=0.001"), "gzip");
}

static void plain_otherwise(void **unused)
{
	(void)unused;
	assert_string_equal(encoding_for(NULL), "plain");
	assert_int_equal(http.count, pa_ui_files_script.plain_bytes);
	assert_string_equal(encoding_for(""), "plain");
	assert_string_equal(encoding_for("br, x-gzip"), "plain");
	assert_string_equal(encoding_for("gzipped"), "plain");
	assert_string_equal(encoding_for("gzip;q=0"), "plain");
	assert_string_equal(encoding_for("gzip ; Q=0.000, br"), "plain");
	assert_string_equal(encoding_for("*"), "plain");
}

/* Returns the header as it is sent. */
static const char *header_of(void answer(struct pa_http *, const struct pa_request *))
{
	static char text[1024];
	const struct pa_request request = { .path = "", .query = "", .peer = "" };
	const struct pa_answer_head about = { .reason = "OK", .one_one = true };

	http_free(&http);
	http = http_new();
	answer(&http, &request);
	text[pa_answer_head_write(&http.head, &about, text, sizeof(text) - 1)] = '\0';
	return text;
}

static void policy_allows_own_files_only(void **unused)
{
	(void)unused;
	const char *head = header_of(pa_ui_endpoint_page);
	assert_non_null(strstr(head,
		"Content-Security-Policy: default-src 'none'; script-src 'self'; "
		"style-src 'self'; connect-src 'self'; "));
	assert_null(strstr(head, "unsafe"));
	assert_non_null(strstr(head, "Referrer-Policy: no-referrer\r\n"));
	assert_non_null(strstr(head, "Content-Type: text/html; charset=utf-8\r\n"));
	assert_ptr_equal(strstr(http.bytes, "<!DOCTYPE html>"), http.bytes);
	head = header_of(pa_ui_endpoint_style);
	assert_non_null(strstr(head, "Content-Type: text/css; charset=utf-8\r\n"));
	head = header_of(pa_ui_endpoint_script);
	assert_non_null(strstr(head, "Content-Type: text/javascript; charset=utf-8\r\n"));
}

static void page_is_small(void **unused)
{
	(void)unused;
	assert_in_range(pa_ui_files_page.plain_bytes + pa_ui_files_style.plain_bytes +
			pa_ui_files_script.plain_bytes,
		1000, 39999);
	assert_in_range(pa_ui_files_script.gzip_bytes, 1000, pa_ui_files_script.plain_bytes / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compressed_where_accepted),
		cmocka_unit_test(plain_otherwise),
		cmocka_unit_test(policy_allows_own_files_only),
		cmocka_unit_test(page_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}

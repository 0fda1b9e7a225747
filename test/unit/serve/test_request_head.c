/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/request_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static enum pa_request_head_verdict judge(const char *text)
{
	return pa_request_head_judge(text, strlen(text));
}

static void headers_are_judged_by_their_end(void **unused)
{
	(void)unused;
	assert_int_equal(judge(""), PA_REQUEST_HEAD_MORE);
	assert_int_equal(judge("GET / HTTP/1.1\r\nHost: x\r\n"), PA_REQUEST_HEAD_MORE);
	assert_int_equal(judge("GET / HTTP/1.1\r\nHost: x\r\n\r"), PA_REQUEST_HEAD_MORE);
	assert_int_equal(judge("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), PA_REQUEST_HEAD_PASS);
	assert_int_equal(judge("POST / HTTP/1.1\r\n\r\nbody"), PA_REQUEST_HEAD_PASS);
	assert_int_equal(judge("GET / HTTP/1.0\n\n"), PA_REQUEST_HEAD_PASS);
	assert_int_equal(judge("\r\nGET / HTTP/1.0\r\n\r\n"), PA_REQUEST_HEAD_PASS);
}

static void length_ends_with_the_empty_line(void **unused)
{
	(void)unused;
	assert_int_equal(pa_request_head_length("GET / HTTP/1.1\r\n\r\nbody", 22), 18);
	assert_int_equal(pa_request_head_length("GET / HTTP/1.1\n\nbody", 20), 16);
	assert_int_equal(pa_request_head_length("GET / HTTP/1.1\r\n\r", 17), 0);
	assert_int_equal(pa_request_head_length("\x16\x03", 2), 2);
}

static void garbage_is_left_to_the_parser(void **unused)
{
	(void)unused;
	assert_int_equal(judge("\x16\x03\x01"), PA_REQUEST_HEAD_PASS);
	assert_int_equal(pa_request_head_judge("GET /\0", 6), PA_REQUEST_HEAD_PASS);
	assert_int_equal(judge("GET\r\n\r\n"), PA_REQUEST_HEAD_PASS);
	assert_int_equal(judge("\r\n\r\n"), PA_REQUEST_HEAD_PASS);
}

static void targets_that_are_no_path_are_foreign(void **unused)
{
	(void)unused;
	assert_int_equal(judge("GET http://localhost/ HTTP/1.1\r\n\r\n"), PA_REQUEST_HEAD_FOREIGN);
	assert_int_equal(judge("OPTIONS * HTTP/1.1\r\n\r\n"), PA_REQUEST_HEAD_FOREIGN);
	assert_int_equal(judge("CONNECT a:1 HTTP/1.1\r\n\r\n"), PA_REQUEST_HEAD_FOREIGN);
	assert_int_equal(judge("GET  / HTTP/1.1\r\n\r\n"), PA_REQUEST_HEAD_FOREIGN);
}

static void long_headers_are_too_long(void **unused)
{
	char text[PA_REQUEST_HEAD_BYTES];
	(void)unused;
	memset(text, 'a', sizeof(text));
	assert_int_equal(pa_request_head_judge(text, sizeof(text) - 1), PA_REQUEST_HEAD_MORE);
	assert_int_equal(pa_request_head_judge(text, sizeof(text)), PA_REQUEST_HEAD_TOO_LONG);
	memcpy(text + sizeof(text) - 4, "\r\n\r\n", 4);
	memcpy(text, "GET /", 5);
	assert_int_equal(pa_request_head_judge(text, sizeof(text)), PA_REQUEST_HEAD_PASS);
}

static void lines_that_are_no_fields_are_bad(void **unused)
{
	static const char *const lines[] = {
		"Host: a\r\n folded", /* RFC 9112, 5.2 */
		" folded",
		"Host : a", /* 5.1 */
		": a",
		"no colon",
		"Host: a\rb", /* 2.2 */
		"Host: a\r",
		"(comment): a",
		"H\xc3\xb6st: a",
	};
	char text[200];

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(lines); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\nAccept: b\r\n\r\n", lines[i]);
		assert_int_equal(judge(text), PA_REQUEST_HEAD_BAD);
	}
	assert_int_equal(judge("GET / HTTP/1.1\r\nX-Empty:\r\nX_y~9: \xc3\xb6 : b\r\n\r\n"),
		PA_REQUEST_HEAD_PASS);
	assert_int_equal(judge("GET / HTTP/1.1\nHost: a\nAccept: b\n\n"), PA_REQUEST_HEAD_PASS);
}

static void two_lengths_are_bad(void **unused)
{
	(void)unused;
	assert_int_equal(judge("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n"),
		PA_REQUEST_HEAD_PASS);
	assert_int_equal(judge("POST / HTTP/1.1\r\nContent-Length: 1\r\nA: b\r\n"
			       "content-length: 1\r\n\r\n"),
		PA_REQUEST_HEAD_BAD);
	assert_int_equal(judge("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
			       "Content-Length: 1\r\n\r\n"),
		PA_REQUEST_HEAD_BAD);
	assert_int_equal(judge("POST / HTTP/1.1\r\nContent-Length-X: 1\r\n"
			       "Content-Length: 1\r\n\r\n"),
		PA_REQUEST_HEAD_PASS);
}

static void lengths_are_numbers(void **unused)
{
	static const char *const lengths[] = { "", "-1", "+1", "1a", "0x1", "1 2", "1,1",
		"9999999999999999999" };
	char text[200];

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(lengths); i++) {
		snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nContent-Length: %s\r\n\r\n",
			lengths[i]);
		assert_int_equal(judge(text), PA_REQUEST_HEAD_BAD);
	}
	assert_int_equal(judge("POST / HTTP/1.1\r\nContent-Length:  17 \r\n\r\n"),
		PA_REQUEST_HEAD_PASS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_judged_by_their_end),
		cmocka_unit_test(length_ends_with_the_empty_line),
		cmocka_unit_test(garbage_is_left_to_the_parser),
		cmocka_unit_test(targets_that_are_no_path_are_foreign),
		cmocka_unit_test(long_headers_are_too_long),
		cmocka_unit_test(lines_that_are_no_fields_are_bad),
		cmocka_unit_test(two_lengths_are_bad),
		cmocka_unit_test(lengths_are_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

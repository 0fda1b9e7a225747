/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/relay_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pa_buffer text;
static struct pa_address to;
static struct pa_request request;

static int set_up(void **unused)
{
	(void)unused;
	to = pa_address_of_ipv4(htonl(INADDR_LOOPBACK), 4711);
	request = (struct pa_request){ .method = PA_REQUEST_METHOD_GET,
		.path = "/debug/pprof/heap",
		.query = "pid=5&debug=1",
		.peer = "10.0.0.9" };
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	pa_buffer_free(&text);
	return 0;
}

static void header(const char *name, const char *value)
{
	request.headers[request.header_count++] = (struct pa_request_header){ name, value };
}

static void request_is_written_anew(void **unused)
{
	(void)unused;
	header("Host", "example.com");
	header("user-agent", "x/1");
	header("AUTHORIZATION", "Bearer t");
	header("Accept", "text/html");
	header("Origin", "http://example.com");
	header("Cookie", "secret");
	header("Expect", "100-continue");
	header("Pprofagent-Relay", "1.2.3.4");
	pa_relay_request_write(&text, &request, true, &to);
	assert_string_equal(text.bytes,
		"GET /debug/pprof/heap?debug=1 HTTP/1.1\r\n"
		"Host: 127.0.0.1:4711\r\n"
		"Connection: close\r\n"
		"Pprofagent-Relay: 10.0.0.9\r\n"
		"User-Agent: x/1\r\n"
		"Authorization: Bearer t\r\n"
		"Accept: text/html\r\n");
}

static void method_and_version_are_the_clients(void **unused)
{
	(void)unused;
	request.method = PA_REQUEST_METHOD_HEAD;
	request.query = "pid=5";
	pa_relay_request_write(&text, &request, false, &to);
	assert_ptr_equal(strstr(text.bytes, "HEAD /debug/pprof/heap HTTP/1.0\r\n"), text.bytes);
	pa_buffer_free(&text);
	request.method = PA_REQUEST_METHOD_POST;
	pa_relay_request_write(&text, &request, false, &to);
	assert_ptr_equal(strstr(text.bytes, "POST /"), text.bytes);
}

static void confirmation_brings_the_token(void **unused)
{
	(void)unused;
	pa_relay_request_confirm(&text, &to, "");
	assert_string_equal(text.bytes,
		"GET /debug/pprof/agent?format=json HTTP/1.0\r\n"
		"Host: 127.0.0.1:4711\r\nConnection: close\r\n\r\n");
	pa_buffer_free(&text);
	pa_relay_request_confirm(&text, &to, "sesame");
	assert_non_null(strstr(text.bytes, "\r\nAuthorization: Bearer sesame\r\n\r\n"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(request_is_written_anew),
		TEST(method_and_version_are_the_clients),
		TEST(confirmation_brings_the_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

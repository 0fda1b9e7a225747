/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/core/core.h"
#include "agent/serve/minimal_server.h"

struct pa_bridge *pa_core_bridge;

static struct {
	int listener, client;
} port;

static int connect_a_client(void **unused)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);

	(void)unused;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	port.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	port.client = socket(AF_INET, SOCK_STREAM, 0);
	return bind(port.listener, (struct sockaddr *)&address, length) ||
		listen(port.listener, 5) ||
		getsockname(port.listener, (struct sockaddr *)&address, &length) ||
		connect(port.client, (struct sockaddr *)&address, length);
}

static int close_all(void **unused)
{
	(void)unused;
	return close(port.client) || close(port.listener);
}

/* The whole answer: a reset would end it with an error. */
static void reads_refusal(void)
{
	char bytes[2048];
	size_t length = 0;
	ssize_t got;

	while ((got = recv(port.client, bytes + length, sizeof(bytes) - 1 - length, 0)) > 0)
		length += (size_t)got;
	assert_int_equal(got, 0);
	bytes[length] = '\0';
	assert_ptr_equal(strstr(bytes, "HTTP/1.1 503 "), bytes);
	assert_non_null(strstr(bytes, "\r\nRetry-After: "));
	assert_non_null(strstr(bytes, "\r\nCache-Control: no-store\r\n"));
	assert_non_null(strstr(bytes, "\r\nX-Content-Type-Options: nosniff\r\n"));
	const char *body = strstr(bytes, "\r\n\r\n") + 4;
	assert_non_null(strstr(body, "pids.max\n"));
	char announced[64];
	snprintf(announced, sizeof(announced), "\r\nContent-Length: %zu\r\n", strlen(body));
	assert_non_null(strstr(bytes, announced));
}

static void a_client_that_asked_reads_why(void **unused)
{
	const char request[] = "GET /debug/pprof/heap HTTP/1.1\r\nHost: localhost\r\n\r\n";

	(void)unused;
	const int fds[PA_LISTEN_SOCKETS] = { port.listener, -1 };
	assert_int_equal(send(port.client, request, sizeof(request) - 1, 0), sizeof(request) - 1);
	shutdown(port.client, SHUT_WR);
	pa_minimal_server_for_limit(fds, "pids.max");
	reads_refusal();
}

static void a_client_that_says_nothing_is_left(void **unused)
{
	/* The second of two. */
	int other = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	const int fds[PA_LISTEN_SOCKETS] = { other, port.listener };

	(void)unused;
	assert_int_equal(listen(other, 5), 0);
	pa_minimal_server_for_limit(fds, "pids.max");
	reads_refusal();
	close(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, connect_a_client, close_all)
	const struct CMUnitTest tests[] = {
		TEST(a_client_that_asked_reads_why),
		TEST(a_client_that_says_nothing_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

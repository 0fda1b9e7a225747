/* SPDX-License-Identifier: Apache-2.0 */
#include "minimal_server.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/lock.h"

#define ANSWER_BYTES 512
#define READ_BYTES 4096

/* Limit for receiving the request, and for the client's close after the response. */
#define TIMEOUT_NS (500 * PA_NS_PER_MS)

static void answer_minimal(int fd, const char *limit)
{
	char text[128], bytes[ANSWER_BYTES];
	int count = snprintf(text, sizeof(text), "no room for the profiler: %s",
		limit ? limit : "a limit");
	int length = snprintf(bytes, sizeof(bytes),
		"HTTP/1.1 503 Service Unavailable\r\n"
		"Cache-Control: no-store\r\n"
		"Connection: close\r\n"
		"Content-Length: %d\r\n"
		"Content-Type: text/plain; charset=utf-8\r\n"
		"Cross-Origin-Resource-Policy: same-origin\r\n"
		"Retry-After: 1\r\n"
		"X-Content-Type-Options: nosniff\r\n"
		"X-Go-Pprof: 1\r\n\r\n%s\n",
		count + 1, text);

	send(fd, bytes, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
}

/* Reads until the client closes or time is up: unread bytes at close() would reset the connection
 * and discard the response (RFC 9112, 9.6). */
static void discard_request(int fd, int64_t until_ns)
{
	struct pollfd client = { .fd = fd, .events = POLLIN };
	char bytes[READ_BYTES];
	int64_t left_ns;

	while ((left_ns = until_ns - pa_clock_mono_ns()) > 0) {
		if (pa_listen_wait(&client, 1, left_ns) > 0 &&
			recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return;
	}
}

void pa_minimal_server_for_limit(const int fds[PA_LISTEN_SOCKETS], const char *limit)
{
	int fd = -1;

	for (size_t i = 0; i < PA_LISTEN_SOCKETS && fd < 0; i++)
		fd = accept4(fds[i], NULL, NULL, SOCK_CLOEXEC);

	/*
	 * No descriptor is free: the connection stays in the backlog and poll() reports it at once.
	 */
	if (fd < 0) {
		pa_futex_sleep(TIMEOUT_NS);
		return;
	}
	answer_minimal(fd, limit);
	discard_request(fd, pa_clock_mono_ns() + TIMEOUT_NS);
	close(fd);
}

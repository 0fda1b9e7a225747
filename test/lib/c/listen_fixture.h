/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of listen.c share: settings, what is opened by them, and sockets of others.
 */
#ifndef LISTEN_FIXTURE_H
#define LISTEN_FIXTURE_H

#include "agent/serve/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct pa_settings settings;
static struct pa_listen_policy policy;
static struct pa_listen result;

static void ask_for(const char *host, uint16_t port)
{
	snprintf(settings.host, sizeof(settings.host), "%s", host);
	settings.port = port;
	snprintf(settings.address, sizeof(settings.address), "%s:%u", host, port);
}

static int set_up(void **unused)
{
	(void)unused;
	settings = (struct pa_settings){ .log = PA_ENV_LOG_ERROR };
	policy = (struct pa_listen_policy){ .may_say = true, .files_private = true };
	ask_for("localhost", 0);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	pa_listen_close(&result);
	return 0;
}

/* Opens the port with stderr caught. *error is what pa_listen_open said. */
static const char *opened(int *error)
{
	static char text[1024];
	int kept = dup(STDERR_FILENO);
	int file = memfd_create("stderr", MFD_CLOEXEC);
	dup2(file, STDERR_FILENO);
	*error = pa_listen_open(&settings, &policy, &result);
	dup2(kept, STDERR_FILENO);
	ssize_t length = pread(file, text, sizeof(text) - 1, 0);
	text[length > 0 ? length : 0] = '\0';
	close(file);
	close(kept);
	return text;
}

static void connects(const struct pa_address *address)
{
	struct sockaddr_storage to;
	socklen_t length = pa_address_sockaddr(address, &to);
	int fd = socket(address->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(connect(fd, (const struct sockaddr *)&to, length), errno);
	close(fd);
}

static void is_bound_to(const char *host)
{
	char text[PA_ADDRESS_TEXT_BYTES];
	assert_string_equal(pa_address_host(&result.bound, text), host);
}

/* A socket that listens on ::1 at that port, 0: any; -1: this machine has no IPv6. */
static int occupy_ipv6(uint16_t port)
{
	const struct pa_address address = pa_address_of_ipv6(&in6addr_loopback, port);
	struct sockaddr_storage to;
	socklen_t length = pa_address_sockaddr(&address, &to);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&to, length) != 0)
		return -1;
	assert_return_code(listen(fd, 8), errno);
	return fd;
}

static bool has_ipv6(void)
{
	int fd = occupy_ipv6(0);
	close(fd);
	return fd >= 0;
}

#endif

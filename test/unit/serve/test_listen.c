/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/serve/port_owner.h"

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
	if (result.fd >= 0)
		close(result.fd);
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

/* Another listener on a port of 127.0.0.1. */
static int occupy(uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(bind(fd, (struct sockaddr *)&address, length), errno);
	assert_return_code(listen(fd, 8), errno);
	assert_return_code(getsockname(fd, (struct sockaddr *)&address, &length), errno);
	*port = ntohs(address.sin_port);
	return fd;
}

static void connects(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(connect(fd, (const struct sockaddr *)address, sizeof(*address)), errno);
	close(fd);
}

static void localhost_is_bound_to_127_0_0_1(void **unused)
{
	char url[64];
	int error;
	(void)unused;
	assert_string_equal(opened(&error), "");
	assert_int_equal(error, 0);
	assert_int_equal(ntohl(result.bound.sin_addr.s_addr), INADDR_LOOPBACK);
	assert_true(result.loopback);
	assert_false(result.fallback);
	snprintf(url, sizeof(url), "http://localhost:%u/debug/pprof/",
		ntohs(result.bound.sin_port));
	assert_string_equal(result.url, url);
	connects(&result.bound);
}

static void descriptor_is_high_and_closed_on_exec(void **unused)
{
	int error, on = 1;
	socklen_t length = sizeof(on);
	(void)unused;
	opened(&error);
	assert_true(result.fd >= PA_LISTEN_FD_MIN);
	assert_true(fcntl(result.fd, F_GETFD) & FD_CLOEXEC);
	assert_return_code(getsockopt(result.fd, SOL_SOCKET, SO_REUSEPORT, &on, &length), errno);
	assert_int_equal(on, 0);
}

static void info_says_where(void **unused)
{
	char line[PA_LISTEN_URL_BYTES + 32];
	int error;
	(void)unused;
	settings.log = PA_ENV_LOG_INFO;
	const char *text = opened(&error);
	snprintf(line, sizeof(line), "pprofagent: serving %s\n", result.url);
	assert_string_equal(text, line);
}

static void empty_host_is_all_interfaces(void **unused)
{
	int error;
	(void)unused;
	ask_for("", 0);
	opened(&error);
	assert_int_equal(error, 0);
	assert_int_equal(result.bound.sin_addr.s_addr, INADDR_ANY);
	assert_false(result.loopback);
}

static void other_loopback_addresses_count_as_such(void **unused)
{
	int error;
	(void)unused;
	ask_for("127.0.0.5", 0);
	opened(&error);
	assert_int_equal(error, 0);
	assert_true(result.loopback);
	assert_ptr_equal(strstr(result.url, "http://127.0.0.5:"), result.url);
}

static void foreign_address_is_not_served(void **unused)
{
	int error;
	(void)unused;
	ask_for("10.9.8.7", 6060);
	assert_string_equal(opened(&error),
		"pprofagent: listen 10.9.8.7:6060: "
		"Cannot assign requested address; not serving\n");
	assert_int_equal(error, -EADDRNOTAVAIL);
	assert_int_equal(result.fd, -1);
}

static void silence_is_kept_where_it_is_asked_for(void **unused)
{
	int error;
	(void)unused;
	policy.may_say = false;
	ask_for("10.9.8.7", 6060);
	assert_string_equal(opened(&error), "");
	assert_true(error < 0);
}

static void address_in_use_falls_back_and_names_the_owner(void **unused)
{
	char line[256], name[PA_PORT_OWNER_NAME_BYTES + 1] = "";
	uint16_t port;
	int error, other = occupy(&port);
	(void)unused;
	ask_for("localhost", port);
	const char *text = opened(&error);
	assert_int_equal(error, 0);
	assert_true(result.fallback);
	assert_true(result.loopback);
	assert_int_not_equal(ntohs(result.bound.sin_port), port);
	int comm = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	assert_true(read(comm, name, sizeof(name) - 1) > 0);
	name[strcspn(name, "\n")] = '\0';
	close(comm);
	snprintf(line, sizeof(line),
		"pprofagent: listen localhost:%u: address already in use (pid %d %s); "
		"serving http://127.0.0.1:%u/debug/pprof/\n",
		port, getpid(), name, ntohs(result.bound.sin_port));
	assert_string_equal(text, line);
	connects(&result.bound);
	close(other);
}

static void in_use_on_all_interfaces_never_leaves_loopback(void **unused)
{
	uint16_t port;
	int error, other = occupy(&port);
	(void)unused;
	ask_for("", port);
	opened(&error);
	assert_int_equal(error, 0);
	assert_true(result.fallback);
	assert_int_equal(ntohl(result.bound.sin_addr.s_addr), INADDR_LOOPBACK);
	close(other);
}

static void child_moves_to_the_address_when_it_is_let_go(void **unused)
{
	uint16_t port, first;
	int error, other = occupy(&port);
	(void)unused;
	ask_for("localhost", port);
	opened(&error);
	assert_int_equal(error, 0);
	assert_true(result.fallback);
	int fd = result.fd;
	first = result.bound.sin_port;
	assert_false(pa_listen_move(&settings, &result, true));
	assert_int_equal(result.bound.sin_port, first);
	close(other);
	assert_true(pa_listen_move(&settings, &result, true));
	assert_int_equal(result.fd, fd);
	assert_int_equal(ntohs(result.bound.sin_port), port);
	assert_false(result.fallback);
	struct sockaddr_in now = { 0 };
	socklen_t length = sizeof(now);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&now, &length), 0);
	assert_int_equal(ntohs(now.sin_port), port);
	/* The other port is let go. */
	int again = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in old = { .sin_family = AF_INET, .sin_port = first };
	old.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(again, (struct sockaddr *)&old, sizeof(old)), 0);
	close(again);
}

static void lines_of_a_child_name_it(void **unused)
{
	char line[256];
	uint16_t port;
	int error, other = occupy(&port);
	(void)unused;
	ask_for("localhost", port);
	policy.child = true;
	const char *said = opened(&error);
	snprintf(line, sizeof(line), "pprofagent: pid %d: listen localhost:%u: ", getpid(), port);
	assert_memory_equal(said, line, strlen(line));
	close(other);
}

static void address_is_left_to_a_parent_that_lives(void **unused)
{
	uint16_t port;
	int error, other = occupy(&port);
	(void)unused;
	close(other);
	ask_for("localhost", port);
	policy.parent = getppid();
	policy.may_say = false;
	assert_string_equal(opened(&error), "");
	assert_int_equal(error, 0);
	assert_true(result.fallback);
	assert_int_not_equal(ntohs(result.bound.sin_port), port);
}

static void address_of_a_parent_that_is_gone_is_taken(void **unused)
{
	uint16_t port;
	int error, other = occupy(&port);
	(void)unused;
	close(other);
	ask_for("localhost", port);
	policy.parent = getpid(); /* anything but our parent */
	assert_string_equal(opened(&error), "");
	assert_int_equal(error, 0);
	assert_false(result.fallback);
	assert_int_equal(ntohs(result.bound.sin_port), port);
}

static void owner_of_nothing_is_unknown(void **unused)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct pa_port_owner owner;
	uint16_t port;
	int fd = occupy(&port);
	(void)unused;
	close(fd);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons(port);
	assert_false(pa_port_owner_find(&address, PA_NS_PER_S, &owner));
}

static void owner_on_ipv6_is_found(void **unused)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(any);
	struct pa_port_owner owner;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)unused;
	if (fd < 0)
		skip();
	assert_return_code(bind(fd, (struct sockaddr *)&any, length), errno);
	assert_return_code(listen(fd, 8), errno);
	assert_return_code(getsockname(fd, (struct sockaddr *)&any, &length), errno);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = any.sin6_port;
	assert_true(pa_port_owner_find(&address, 5 * PA_NS_PER_S, &owner));
	assert_int_equal(owner.pid, getpid());
	close(fd);
}

static void without_time_no_owner_is_found(void **unused)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct pa_port_owner owner;
	uint16_t port;
	int fd = occupy(&port);
	(void)unused;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons(port);
	assert_false(pa_port_owner_find(&address, 0, &owner));
	close(fd);
}

static void low_descriptors_are_raised(void **unused)
{
	(void)unused;
	int fd = open("/dev/null", O_RDONLY);
	assert_true(fd >= 0 && fd < PA_LISTEN_FD_MIN);
	int raised = pa_listen_raise(fd, false);
	assert_true(raised >= PA_LISTEN_FD_MIN);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(pa_listen_raise(raised, false), raised);
	assert_int_equal(pa_listen_raise(-1, true), -1);
	close(raised);
}

/* EFAULT stands for any refusal. */
static void wait_that_is_refused_takes_time_all_the_same(void **unused)
{
	(void)unused;
	struct pollfd *nowhere = (void *)(uintptr_t)8;
	int64_t begin_ns = pa_clock_mono_ns();
	assert_int_equal(pa_listen_wait(nowhere, 1, -1), -1);
	assert_int_equal(errno, EFAULT);
	assert_true(pa_clock_mono_ns() - begin_ns >= 50 * PA_NS_PER_MS);
	assert_int_equal(pa_listen_wait(NULL, 0, PA_NS_PER_MS), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(localhost_is_bound_to_127_0_0_1),
		TEST(descriptor_is_high_and_closed_on_exec),
		TEST(info_says_where),
		TEST(empty_host_is_all_interfaces),
		TEST(other_loopback_addresses_count_as_such),
		TEST(foreign_address_is_not_served),
		TEST(silence_is_kept_where_it_is_asked_for),
		TEST(address_in_use_falls_back_and_names_the_owner),
		TEST(in_use_on_all_interfaces_never_leaves_loopback),
		TEST(child_moves_to_the_address_when_it_is_let_go),
		TEST(lines_of_a_child_name_it),
		TEST(address_is_left_to_a_parent_that_lives),
		TEST(address_of_a_parent_that_is_gone_is_taken),
		cmocka_unit_test(owner_of_nothing_is_unknown),
		cmocka_unit_test(owner_on_ipv6_is_found),
		cmocka_unit_test(without_time_no_owner_is_found),
		cmocka_unit_test(low_descriptors_are_raised),
		cmocka_unit_test(wait_that_is_refused_takes_time_all_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

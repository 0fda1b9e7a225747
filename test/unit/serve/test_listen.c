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
#include "test/lib/c/listen_fixture.h"

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

static void localhost_is_bound_to_both_families(void **unused)
{
	char url[64];
	int error;
	(void)unused;
	assert_string_equal(opened(&error), "");
	assert_int_equal(error, 0);
	is_bound_to("127.0.0.1");
	assert_false(result.fallback);
	snprintf(url, sizeof(url), "http://localhost:%u/debug/pprof/", result.bound.port);
	assert_string_equal(result.url, url);
	connects(&result.bound);
	assert_int_equal(result.fds[1] >= 0, has_ipv6());
	if (result.fds[1] >= 0) {
		struct pa_address second = pa_address_of_socket(result.fds[1], getsockname);
		assert_int_equal(second.port, result.bound.port);
		assert_true(pa_address_is_local(&second));
		connects(&second);
	}
}

static void descriptor_is_not_of_stdio_and_closed_on_exec(void **unused)
{
	int error, on = 1;
	socklen_t length = sizeof(on);
	(void)unused;
	opened(&error);
	assert_true(result.fds[0] > STDERR_FILENO);
	assert_true(fcntl(result.fds[0], F_GETFD) & FD_CLOEXEC);
	assert_return_code(getsockopt(result.fds[0], SOL_SOCKET, SO_REUSEPORT, &on, &length),
		errno);
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
	assert_true(pa_address_is_any(&result.bound));
	assert_int_equal(result.bound.family, has_ipv6() ? AF_INET6 : AF_INET);
	assert_ptr_equal(strstr(result.url, "http://localhost:"), result.url);
	const struct pa_address ipv4 =
		pa_address_of_ipv4(htonl(INADDR_LOOPBACK), result.bound.port);
	connects(&ipv4);
}

static void other_loopback_addresses_count_as_such(void **unused)
{
	int error;
	(void)unused;
	ask_for("127.0.0.5", 0);
	opened(&error);
	assert_int_equal(error, 0);
	assert_true(pa_address_is_local(&result.bound));
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
	assert_int_equal(result.fds[0], -1);
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
	assert_true(pa_address_is_local(&result.bound));
	assert_int_not_equal(result.bound.port, port);
	int comm = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	assert_true(read(comm, name, sizeof(name) - 1) > 0);
	name[strcspn(name, "\n")] = '\0';
	close(comm);
	snprintf(line, sizeof(line),
		"pprofagent: listen localhost:%u: address already in use (pid %d %s); "
		"serving http://127.0.0.1:%u/debug/pprof/\n",
		port, getpid(), name, result.bound.port);
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
	is_bound_to("127.0.0.1");
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
	int fd = result.fds[0];
	first = result.bound.port;
	assert_false(pa_listen_move(&settings, &policy, &result));
	assert_int_equal(result.bound.port, first);
	close(other);
	assert_true(pa_listen_move(&settings, &policy, &result));
	assert_int_equal(result.fds[0], fd);
	assert_int_equal(result.bound.port, port);
	assert_false(result.fallback);
	struct sockaddr_in now = { 0 };
	socklen_t length = sizeof(now);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&now, &length), 0);
	assert_int_equal(ntohs(now.sin_port), port);
	/* The other port is let go. */
	int again = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in old = { .sin_family = AF_INET, .sin_port = htons(first) };
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
	assert_int_not_equal(result.bound.port, port);
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
	assert_int_equal(result.bound.port, port);
}

static void owner_of_nothing_is_unknown(void **unused)
{
	struct pa_port_owner owner;
	uint16_t port;
	int fd = occupy(&port);
	(void)unused;
	close(fd);
	const struct pa_address address = pa_address_of_ipv4(htonl(INADDR_LOOPBACK), port);
	assert_false(pa_port_owner_find(&address, PA_NS_PER_S, &owner));
}

/* [::] takes IPv4 as well. */
static void owner_on_ipv6_is_found(void **unused)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	struct pa_port_owner owner;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)unused;
	if (fd < 0)
		skip();
	assert_return_code(bind(fd, (struct sockaddr *)&any, sizeof(any)), errno);
	assert_return_code(listen(fd, 8), errno);
	uint16_t port = pa_address_of_socket(fd, getsockname).port;
	const struct pa_address wanted[] = { pa_address_of_ipv4(htonl(INADDR_LOOPBACK), port),
		pa_address_of_ipv6(&in6addr_loopback, port),
		pa_address_of_ipv6(&in6addr_any, port) };
	for (size_t i = 0; i < PA_COUNT(wanted); i++) {
		assert_true(pa_port_owner_find(&wanted[i], 5 * PA_NS_PER_S, &owner));
		assert_int_equal(owner.pid, getpid());
	}
	close(fd);
}

static void owner_of_the_other_family_is_not_in_the_way(void **unused)
{
	struct pa_port_owner owner;
	uint16_t port;
	int fd = occupy(&port);
	(void)unused;
	const struct pa_address ipv6 = pa_address_of_ipv6(&in6addr_loopback, port);
	assert_false(pa_port_owner_find(&ipv6, PA_NS_PER_S, &owner));
	const struct pa_address any = pa_address_of_ipv6(&in6addr_any, port);
	assert_true(pa_port_owner_find(&any, PA_NS_PER_S, &owner));
	close(fd);
}

static void without_time_no_owner_is_found(void **unused)
{
	struct pa_port_owner owner;
	uint16_t port;
	int fd = occupy(&port);
	(void)unused;
	const struct pa_address address = pa_address_of_ipv4(htonl(INADDR_LOOPBACK), port);
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
	/* Where the program cannot see them they stay as they are. */
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(pa_listen_raise(fd, true), fd);
	close(fd);
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
		TEST(localhost_is_bound_to_both_families),
		TEST(descriptor_is_not_of_stdio_and_closed_on_exec),
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
		cmocka_unit_test(owner_of_the_other_family_is_not_in_the_way),
		cmocka_unit_test(without_time_no_owner_is_found),
		cmocka_unit_test(low_descriptors_are_raised),
		cmocka_unit_test(wait_that_is_refused_takes_time_all_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

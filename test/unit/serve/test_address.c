/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct pa_address ipv6(const char *text, uint16_t port)
{
	struct in6_addr ip;
	assert_int_equal(inet_pton(AF_INET6, text, &ip), 1);
	return pa_address_of_ipv6(&ip, port);
}

static struct pa_address ipv4(const char *text, uint16_t port)
{
	struct in_addr ip;
	assert_int_equal(inet_pton(AF_INET, text, &ip), 1);
	return pa_address_of_ipv4(ip.s_addr, port);
}

static void has_text(struct pa_address address, const char *host, const char *whole)
{
	char text[PA_ADDRESS_TEXT_BYTES];
	assert_string_equal(pa_address_host(&address, text), host);
	assert_string_equal(pa_address_text(&address, text), whole);
}

static void texts_are_those_of_urls(void **unused)
{
	(void)unused;
	has_text(ipv4("127.0.0.1", 6060), "127.0.0.1", "127.0.0.1:6060");
	has_text(ipv6("::1", 6060), "[::1]", "[::1]:6060");
	has_text(ipv6("::ffff:10.0.0.1", 1), "10.0.0.1", "10.0.0.1:1");
	has_text(pa_address_of_path("/run/x.sock"), "localhost", "unix:/run/x.sock");
	struct pa_address scoped = ipv6("fe80::1", 80);
	scoped.scope = 3;
	has_text(scoped, "[fe80::1%3]", "[fe80::1%3]:80");
	struct pa_address longest = ipv6("1111:2222:3333:4444:5555:6666:7777:8888", UINT16_MAX);
	longest.scope = UINT32_MAX;
	has_text(longest, "[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]",
		"[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535");
}

static void local_ones_are_known(void **unused)
{
	const struct pa_address local[] = { ipv4("127.0.0.1", 1), ipv4("127.9.9.9", 1),
		ipv6("::1", 1), ipv6("::ffff:127.0.0.1", 1), pa_address_of_path("/x") };
	const struct pa_address other[] = { ipv4("128.0.0.1", 1), ipv4("0.0.0.0", 1), ipv6("::", 1),
		ipv6("::2", 1), ipv6("::ffff:10.0.0.1", 1), ipv6("fe80::1", 1), { .port = 1 } };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(local); i++)
		assert_true(pa_address_is_local(&local[i]));
	for (size_t i = 0; i < PA_COUNT(other); i++)
		assert_false(pa_address_is_local(&other[i]));
}

static void any_is_of_both_families(void **unused)
{
	const struct pa_address any[] = { ipv4("0.0.0.0", 1), ipv6("::", 1) };
	const struct pa_address other[] = { ipv4("127.0.0.1", 1), ipv6("::1", 1),
		pa_address_of_path("/x") };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(any); i++)
		assert_true(pa_address_is_any(&any[i]));
	for (size_t i = 0; i < PA_COUNT(other); i++)
		assert_false(pa_address_is_any(&other[i]));
}

static void sockaddr_and_back_is_the_same(void **unused)
{
	struct pa_address all[] = { ipv4("10.1.2.3", 4711), ipv6("2001:db8::1", 80),
		pa_address_of_path("/run/x.sock"), pa_address_of_path("") };
	(void)unused;
	all[1].scope = 7;
	for (size_t i = 0; i < PA_COUNT(all); i++) {
		struct sockaddr_storage to;
		socklen_t length = pa_address_sockaddr(&all[i], &to);
		struct pa_address back =
			pa_address_of_sockaddr((const struct sockaddr *)&to, length);
		assert_true(pa_address_is_equal(&all[i], &back));
		for (size_t j = 0; j < PA_COUNT(all); j++)
			assert_int_equal(pa_address_is_equal(&all[j], &back), i == j);
	}
}

static void a_path_that_is_too_long_is_no_address(void **unused)
{
	char path[PA_ADDRESS_PATH_BYTES + 1];
	(void)unused;
	memset(path, 'x', sizeof(path));
	path[PA_ADDRESS_PATH_BYTES - 1] = '\0';
	assert_int_equal(pa_address_of_path(path).family, AF_UNIX);
	path[PA_ADDRESS_PATH_BYTES - 1] = 'x';
	path[PA_ADDRESS_PATH_BYTES] = '\0';
	assert_int_equal(pa_address_of_path(path).family, AF_UNSPEC);
}

/* A client that did not bind its socket has none (unix(7)). */
static void ends_of_a_socket_are_read(void **unused)
{
	int ends[2];
	(void)unused;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	struct pa_address own = pa_address_of_socket(ends[0], getsockname);
	assert_int_equal(own.family, AF_UNIX);
	assert_string_equal(own.path, "");
	assert_int_equal(pa_address_of_socket(-1, getpeername).family, AF_UNSPEC);
	close(ends[0]);
	close(ends[1]);
	const struct sockaddr netlink = { .sa_family = AF_NETLINK };
	assert_int_equal(pa_address_of_sockaddr(&netlink, sizeof(netlink)).family, AF_UNSPEC);
	assert_int_equal(pa_address_of_sockaddr(&netlink, 0).family, AF_UNSPEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_those_of_urls),
		cmocka_unit_test(local_ones_are_known),
		cmocka_unit_test(any_is_of_both_families),
		cmocka_unit_test(sockaddr_and_back_is_the_same),
		cmocka_unit_test(a_path_that_is_too_long_is_no_address),
		cmocka_unit_test(ends_of_a_socket_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdio.h>

#include "agent/serve/token_guesses.h"
#include "agent/serve/peer.h"

static struct pa_access guard;
static struct pa_request request;
static int64_t uid_of_client, uid_of_program;

int64_t pa_peer_uid(const struct pa_request *of)
{
	assert_ptr_equal(of, &request);
	return uid_of_client;
}

bool pa_peer_is_of_program(int64_t uid)
{
	return uid == 0 || uid == uid_of_program;
}

static int set_up(void **unused)
{
	(void)unused;
	guard = (struct pa_access){ .loopback = true, .host = "", .hosts = "", .token = "" };
	request = (struct pa_request){ .path = "/", .query = "" };
	uid_of_client = 1000;
	uid_of_program = 1000;
	pa_token_guesses_reset();
	return 0;
}

static void add(const char *name, const char *value)
{
	request.headers[request.header_count++] = (struct pa_request_header){ name, value };
}

static int check(void)
{
	const char *why;
	int status = pa_access_check(&guard, &request, &why);
	assert_true((status == 0) == (why == NULL));
	return status;
}

static int check_host(const char *host)
{
	request.header_count = 0;
	add("Host", host);
	return check();
}

static void loopback_names_are_good(void **unused)
{
	(void)unused;
	const char *const good[] = { "localhost", "LocalHost", "127.0.0.1", "[::1]",
		"localhost:6053", "127.0.0.1:1", "[::1]:65535" };
	for (size_t i = 0; i < PA_COUNT(good); i++)
		assert_int_equal(check_host(good[i]), 0);
}

static void other_names_are_forbidden(void **unused)
{
	(void)unused;
	const char *const bad[] = { "", "evil.com", "localhost.evil.com", "127.0.0.1.evil.com",
		"localhost.", "127.0.0.2", "10.0.0.1", "[::2]", "[::1", "[::1]x", "::1",
		"localhost:", "localhost:x", "localhost:123456", "localhost:1 ", "a@localhost",
		"localhost,localhost" };
	for (size_t i = 0; i < PA_COUNT(bad); i++)
		assert_int_equal(check_host(bad[i]), 403);
}

static void host_must_be_there_once(void **unused)
{
	(void)unused;
	assert_int_equal(check(), 403);
	add("host", "localhost");
	assert_int_equal(check(), 0);
	add("HOST", "localhost");
	assert_int_equal(check(), 403);
}

static void listed_hosts_are_good(void **unused)
{
	(void)unused;
	guard.hosts = "my.host, other:99";
	assert_int_equal(check_host("my.host"), 0);
	assert_int_equal(check_host("MY.HOST:80"), 0);
	assert_int_equal(check_host("other:99"), 0);
	assert_int_equal(check_host("other:98"), 403);
	assert_int_equal(check_host("my.hos"), 403);
	assert_int_equal(check_host("my.host2"), 403);
}

static void address_that_was_asked_for_is_good(void **unused)
{
	(void)unused;
	guard.host = "127.0.0.5";
	assert_int_equal(check_host("127.0.0.5:6060"), 0);
	assert_int_equal(check_host("127.0.0.6"), 403);
}

static void host_is_free_on_other_interfaces(void **unused)
{
	(void)unused;
	guard.loopback = false;
	assert_int_equal(check(), 0);
	assert_int_equal(check_host("evil.com"), 0);
}

static void foreign_origins_are_forbidden(void **unused)
{
	(void)unused;
	const char *const bad[] = { "http://evil.com", "null", "", "http://localhost:1",
		"http://localhost.evil.com", "file://", "http://localhost/" };
	for (size_t i = 0; i < PA_COUNT(bad); i++) {
		request.header_count = 0;
		add("Host", "localhost");
		add("Origin", bad[i]);
		assert_int_equal(check(), 403);
	}
}

static void own_origin_is_good(void **unused)
{
	(void)unused;
	add("Host", "localhost:6053");
	add("Origin", "http://localhost:6053");
	assert_int_equal(check(), 0);
	add("Origin", "http://localhost:6053");
	assert_int_equal(check(), 403);
}

static void cross_site_is_forbidden_everywhere(void **unused)
{
	(void)unused;
	guard.loopback = false;
	add("Host", "example.org");
	add("Sec-Fetch-Site", "same-origin");
	assert_int_equal(check(), 0);
	add("sec-fetch-site", "Cross-Site");
	assert_int_equal(check(), 403);
}

static void token_is_wanted_when_set(void **unused)
{
	(void)unused;
	guard.token = "s3cret";
	add("Host", "localhost");
	assert_int_equal(check(), 401);
	add("Authorization", "Bearer s3cre");
	assert_int_equal(check(), 401);
	add("Authorization", "bearer s3cret");
	assert_int_equal(check(), 0);
	request.header_count = 1;
	request.query = "debug=1&token=s3cret";
	assert_int_equal(check(), 0);
	request.query = "token=s3crett";
	assert_int_equal(check(), 401);
	request.query = "token=";
	assert_int_equal(check(), 401);
}

static void constants_need_no_token_but_all_else(void **unused)
{
	const char *why = "";
	(void)unused;
	guard.token = "s3cret";
	assert_int_equal(pa_access_check_open(&guard, &request, &why), 403);
	assert_non_null(why);
	add("Host", "localhost");
	assert_int_equal(check(), 401);
	assert_int_equal(pa_access_check_open(&guard, &request, &why), 0);
	assert_null(why);
	add("Sec-Fetch-Site", "cross-site");
	assert_int_equal(pa_access_check_open(&guard, &request, &why), 403);
}

static void token_does_not_open_to_foreign_hosts(void **unused)
{
	(void)unused;
	guard.token = "t";
	request.query = "token=t";
	add("Host", "evil.com");
	assert_int_equal(check(), 403);
}

static void equal_compares_whole_texts(void **unused)
{
	char longest[PA_ENV_TEXT_BYTES + 8];
	(void)unused;
	assert_true(pa_access_equal("a", "a"));
	assert_true(pa_access_equal("", ""));
	assert_false(pa_access_equal("a", "ab"));
	assert_false(pa_access_equal("ab", "a"));
	assert_false(pa_access_equal("ab", "cb"));
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	char secret[PA_ENV_TEXT_BYTES];
	memcpy(secret, longest, sizeof(secret) - 1);
	secret[sizeof(secret) - 1] = '\0';
	assert_true(pa_access_equal(secret, secret));
	assert_false(pa_access_equal(secret, longest));
}

/* ---- where the connection came to ---- */

static struct pa_address address_of(const char *text)
{
	struct in_addr ip;
	struct in6_addr ipv6;
	if (text[0] == '/')
		return pa_address_of_path(text);
	if (inet_pton(AF_INET, text, &ip) == 1)
		return pa_address_of_ipv4(ip.s_addr, 6060);
	assert_int_equal(inet_pton(AF_INET6, text, &ipv6), 1);
	return pa_address_of_ipv6(&ipv6, 6060);
}

static void came_to(const char *address)
{
	request.server = address_of(address);
}

static void host_and_user_are_checked_on_all_that_is_local(void **unused)
{
	static const char *const local[] = { "::1", "::ffff:127.0.0.1", "/run/x.sock" };
	static const char *const other[] = { "::ffff:10.0.0.1", "2001:db8::1", "fe80::1" };
	(void)unused;
	guard.loopback = false;
	guard.user_only = true;
	for (size_t i = 0; i < PA_COUNT(local); i++) {
		came_to(local[i]);
		uid_of_client = 1000;
		assert_int_equal(check_host("evil.example"), 403);
		assert_int_equal(check_host("[::1]:6060"), 0);
		add("Origin", "http://evil.example");
		assert_int_equal(check(), 403);
		uid_of_client = 1001;
		assert_int_equal(check_host("localhost"), 403);
	}
	guard.loopback = true;
	for (size_t i = 0; i < PA_COUNT(other); i++) {
		came_to(other[i]);
		assert_int_equal(check_host("build-7.example"), 0);
	}
}

static void own_origin_on_ipv6_is_good(void **unused)
{
	(void)unused;
	came_to("::1");
	assert_int_equal(check_host("[::1]:6060"), 0);
	add("Origin", "http://[::1]:6060");
	assert_int_equal(check(), 0);
}

static void host_of_the_setting_is_compared_without_brackets(void **unused)
{
	(void)unused;
	guard.host = "fd00::5";
	assert_int_equal(check_host("[fd00::5]:6060"), 0);
	assert_int_equal(check_host("[fd00::6]:6060"), 403);
	assert_int_equal(check_host("[]"), 403);
}

/* Status of so many wrong tokens, each from another address. */
static int status_after_guesses(const char *from, int count)
{
	char text[64];
	int status = 0;
	for (int i = 0; i < count; i++) {
		request.header_count = 0;
		add("Host", "localhost");
		add("Authorization", "Bearer wrong");
		snprintf(text, sizeof(text), from, i + 1);
		request.client = address_of(text);
		status = check();
	}
	return status;
}

static void guesses_from_one_ipv6_network_count_together(void **unused)
{
	(void)unused;
	guard.token = "right";
	came_to("2001:db8::1");
	assert_int_equal(status_after_guesses("2001:db8:0:%x::1", 40), 401);
	pa_token_guesses_reset();
	assert_int_equal(status_after_guesses("2001:db8::%x", 40), 429);
	pa_token_guesses_reset();
	assert_int_equal(status_after_guesses("10.0.0.%d", 40), 401);
}

static void listener_of_all_addresses_checks_host_on_loopback(void **unused)
{
	(void)unused;
	guard.loopback = false;
	came_to("127.0.0.1");
	assert_int_equal(check_host("evil.example"), 403);
	assert_int_equal(check_host("localhost:6060"), 0);
	came_to("127.1.2.3");
	assert_int_equal(check_host("evil.example"), 403);
	came_to("192.168.0.7");
	assert_int_equal(check_host("build-7.example"), 0);
}

static void only_the_user_of_the_program_and_root_are_answered(void **unused)
{
	(void)unused;
	const char *why;
	guard.user_only = true;
	assert_int_equal(check_host("localhost"), 0);
	uid_of_client = 0;
	assert_int_equal(check_host("localhost"), 0);
	uid_of_client = 1001;
	assert_int_equal(check_host("localhost"), 403);
	assert_int_equal(pa_access_check(&guard, &request, &why), 403);
	assert_non_null(strstr(why, "PPROFAGENT_PEERS"));
	uid_of_client = PA_PEER_UNKNOWN;
	assert_int_equal(check_host("localhost"), 403);
	guard.user_only = false;
	assert_int_equal(check_host("localhost"), 0);
}

static void users_are_not_told_apart_on_other_addresses(void **unused)
{
	(void)unused;
	guard.user_only = true;
	guard.loopback = false;
	uid_of_client = PA_PEER_UNKNOWN;
	came_to("192.168.0.7");
	assert_int_equal(check_host("build-7.example"), 0);
}

/* ---- guesses ---- */

static int guess(const char *token)
{
	char header[64];
	request.header_count = 0;
	add("Host", "localhost");
	snprintf(header, sizeof(header), "Bearer %s", token);
	add("Authorization", header);
	return check();
}

static void many_wrong_tokens_are_not_compared_any_more(void **unused)
{
	(void)unused;
	guard.token = "right";
	int wrong = 0;
	while (guess("wrong") == 401)
		assert_true(++wrong <= PA_TOKEN_GUESSES_BURST + 1);
	assert_true(wrong >= PA_TOKEN_GUESSES_BURST);
	assert_int_equal(guess("wrong"), 429);
	assert_int_equal(guess("right"), 429);
}

static void one_users_guesses_do_not_keep_another_out(void **unused)
{
	(void)unused;
	guard.token = "right";
	while (guess("wrong") == 401)
		;
	uid_of_client = 1001;
	assert_int_equal(guess("right"), 0);
	assert_int_equal(guess("wrong"), 401);
}

static void requests_without_a_token_are_no_guesses(void **unused)
{
	(void)unused;
	guard.token = "right";
	for (int i = 0; i < 3 * PA_TOKEN_GUESSES_BURST; i++)
		assert_int_equal(check_host("localhost"), 401);
	assert_int_equal(guess("right"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(loopback_names_are_good, set_up),
		cmocka_unit_test_setup(host_and_user_are_checked_on_all_that_is_local, set_up),
		cmocka_unit_test_setup(own_origin_on_ipv6_is_good, set_up),
		cmocka_unit_test_setup(host_of_the_setting_is_compared_without_brackets, set_up),
		cmocka_unit_test_setup(guesses_from_one_ipv6_network_count_together, set_up),
		cmocka_unit_test_setup(listener_of_all_addresses_checks_host_on_loopback, set_up),
		cmocka_unit_test_setup(only_the_user_of_the_program_and_root_are_answered, set_up),
		cmocka_unit_test_setup(users_are_not_told_apart_on_other_addresses, set_up),
		cmocka_unit_test_setup(many_wrong_tokens_are_not_compared_any_more, set_up),
		cmocka_unit_test_setup(one_users_guesses_do_not_keep_another_out, set_up),
		cmocka_unit_test_setup(requests_without_a_token_are_no_guesses, set_up),
		cmocka_unit_test_setup(other_names_are_forbidden, set_up),
		cmocka_unit_test_setup(host_must_be_there_once, set_up),
		cmocka_unit_test_setup(listed_hosts_are_good, set_up),
		cmocka_unit_test_setup(address_that_was_asked_for_is_good, set_up),
		cmocka_unit_test_setup(host_is_free_on_other_interfaces, set_up),
		cmocka_unit_test_setup(foreign_origins_are_forbidden, set_up),
		cmocka_unit_test_setup(own_origin_is_good, set_up),
		cmocka_unit_test_setup(cross_site_is_forbidden_everywhere, set_up),
		cmocka_unit_test_setup(token_is_wanted_when_set, set_up),
		cmocka_unit_test_setup(constants_need_no_token_but_all_else, set_up),
		cmocka_unit_test_setup(token_does_not_open_to_foreign_hosts, set_up),
		cmocka_unit_test_setup(equal_compares_whole_texts, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

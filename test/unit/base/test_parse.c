/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>

#include "agent/base/parse.h"

static void numbers_are_decimal_digits_within_bounds(void **unused)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x10", "1e3", "1k", "9",
		"513", "18446744073709551616", "99999999999999999999999" };
	uint64_t value = 0;

	(void)unused;
	assert_true(pa_parse_number("10", 10, 512, &value));
	assert_int_equal(value, 10);
	assert_true(pa_parse_number("0512", 10, 512, &value));
	assert_int_equal(value, 512);
	assert_true(pa_parse_number("18446744073709551615", 0, UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
	for (size_t i = 0; i < PA_COUNT(bad); i++)
		assert_false(pa_parse_number(bad[i], 10, 512, &value));
	assert_false(pa_parse_number("18446744073709551616", 0, UINT64_MAX, &value));
}

static void sizes_take_units(void **unused)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "524288", 524288 },
		{ "64k", 65536 },
		{ "64K", 65536 },
		{ "4M", 4 << 20 },
		{ "4m", 4 << 20 },
		{ "1G", 1 << 30 },
		{ "17179869183G", 17179869183ULL << 30 },
	};
	static const char *const bad[] = { "", "k", "-1", "4MB", "4 M", "4T", "1.5M",
		"17179869184G", "4kk", "M4" };
	uint64_t bytes;

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(good); i++) {
		assert_true(pa_parse_size(good[i].text, &bytes));
		assert_true(bytes == good[i].bytes);
	}
	for (size_t i = 0; i < PA_COUNT(bad); i++)
		assert_false(pa_parse_size(bad[i], &bytes));
}

static void sizes_show_their_largest_unit(void **unused)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {
		{ 0, "0" },
		{ 1023, "1023" },
		{ 65536, "64k" },
		{ 4 << 20, "4M" },
		{ 1 << 30, "1G" },
		{ 1ULL << 40, "1024G" },
		{ 1536, "1536" },
	};
	char out[32];

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(sizes); i++) {
		pa_parse_show_size(sizes[i].bytes, out, sizeof(out));
		assert_string_equal(out, sizes[i].text);
	}
}

static void signals_have_names_and_numbers(void **unused)
{
	const struct {
		const char *text;
		int number;
	} signals[] = {
		{ "USR1", SIGUSR1 },
		{ "SIGUSR1", SIGUSR1 },
		{ "10", 10 },
		{ "PROF", SIGPROF },
		{ "SIGRTMIN", SIGRTMIN },
		{ "RTMIN+3", SIGRTMIN + 3 },
		{ "SIGRTMAX-3", SIGRTMAX - 3 },
		{ "RTMAX", SIGRTMAX },
		{ "RTMIN+0", SIGRTMIN },
		{ "34", 34 },
		{ "64", 64 },
		{ "SIGIO", SIGIO },
		{ "POLL", SIGIO },
		{ "CLD", SIGCHLD },
		{ "IOT", SIGABRT },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(signals); i++)
		assert_int_equal(pa_parse_signal(signals[i].text), signals[i].number);
}

static void signals_that_no_handler_may_take_are_refused(void **unused)
{
	static const char *const bad[] = { "KILL", "SIGKILL", "9", "STOP", "19", "SEGV", "BUS",
		"ILL", "FPE", "TRAP", "11", "SIGTRAP", "0", "32", "33", "65", "-1", "+10",
		"99999999999999999999", "RTMIN-1", "RTMIN-2", "RTMAX+1", "RTMIN+31", "RTMAX-64",
		"RTMIN*3", "RTMIN+", "RTMIN+x", "RTMIN++3", "RTMAX-18446744073709551615", "SIG",
		"SIGSIGUSR1", "usr1", "USR", "", "EXIT", "RT", "RTMI" };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(bad); i++)
		if (pa_parse_signal(bad[i]) != 0)
			fail_msg("\"%s\" was taken", bad[i]);
}

static void each_signal_shows_as_a_name_that_means_it(void **unused)
{
	char name[32];

	(void)unused;
	pa_parse_show_signal(SIGRTMAX - 3, name, sizeof(name));
	assert_string_equal(name, "SIGRTMAX-3");
	pa_parse_show_signal(SIGRTMIN + 2, name, sizeof(name));
	assert_string_equal(name, "SIGRTMIN+2");
	pa_parse_show_signal(SIGUSR2, name, sizeof(name));
	assert_string_equal(name, "SIGUSR2");
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++) {
		pa_parse_show_signal(i, name, sizeof(name));
		assert_int_equal(pa_parse_signal(name), i);
	}
}

static void good_addresses_give_host_and_port(void **unused)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} good[] = {
		{ "localhost:6053", "localhost", 6053 },
		{ ":1234", "", 1234 },
		{ "1.2.3.4:1234", "1.2.3.4", 1234 },
		{ "10.9.8.7:6060", "10.9.8.7", 6060 },
		{ ":0", "", 0 },
		{ "[::1]:6060", "::1", 6060 },
		{ "[::]:0", "::", 0 },
		{ "[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", 80 },
		{ "[fe80::1%eth0]:80", "fe80::1%eth0", 80 },
		{ "my-host_1.example.:65535", "my-host_1.example.", 65535 },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(good); i++) {
		char host[64], why[PA_PARSE_WHY_BYTES] = "";
		uint16_t port;

		assert_true(pa_parse_address(good[i].text, host, &port, why));
		assert_string_equal(host, good[i].host);
		assert_int_equal(port, good[i].port);
		assert_string_equal(why, "");
	}
}

static void bad_addresses_say_what_is_wrong(void **unused)
{
#define MISSING "missing port in address (want host:port, :port or off)"
#define COLONS "too many colons in address"
#define WANT_BRACKETS COLONS " (want [host]:port for IPv6)"
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "localhost", MISSING },
		{ "/foo", "missing port in address (did you mean \"unix:/foo\"?)" },
		{ "/run/x:80", "missing port in address (did you mean \"unix:/run/x:80\"?)" },
		{ "localhost:", MISSING },
		{ ":", MISSING },
		{ "99999", MISSING },
		{ "6060", "missing port in address (did you mean \":6060\"?)" },
		{ "0", "missing port in address (did you mean \":0\"?)" },
		{ ":99999", "port 99999 out of range 0-65535" },
		{ ":65536", "port 65536 out of range 0-65535" },
		{ ":-1", "port -1 out of range 0-65535" },
		{ ":99999999999999999999", "port 99999999999999999999 out of range 0-65535" },
		{ ":http", "port \"http\" is not a number" },
		{ ":-", "port \"-\" is not a number" },
		{ ":80s", "port \"80s\" is not a number" },
		{ ":6060 ", "port \"6060 \" is not a number" },
		{ "localhost:6053/debug", "port \"6053/debug\" is not a number" },
		{ "http://localhost:6053", "give an address, not a URL" },
		{ "https://x", "give an address, not a URL" },
		{ "[::1]", MISSING },
		{ "[::1]:", MISSING },
		{ "[::1]6060", MISSING },
		{ "[::1:6060", "missing ']' in address" },
		{ "[", "missing ']' in address" },
		{ "[]:80", "\"\" is not an IPv6 address" },
		{ "[localhost]:80", "\"localhost\" is not an IPv6 address" },
		{ "[127.0.0.1]:80", "\"127.0.0.1\" is not an IPv6 address" },
		{ "[::1%]:80", "\"::1%\" is not an IPv6 address" },
		{ "[fe80::1%a b]:80", "too many addresses" },
		{ "[fe80::1%a]b]:80", MISSING },
		{ "[1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:a:b:c:d:e]:80",
			"\"1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:a:b:c:d:e\" is not an IPv6 "
			"address" },
		{ "[::1]:99999", "port 99999 out of range 0-65535" },
		{ "[::1]:http", "port \"http\" is not a number" },
		{ "::1", WANT_BRACKETS },
		{ "fe80::1:6053", WANT_BRACKETS },
		{ "::", WANT_BRACKETS },
		{ "local:host:80", COLONS },
		{ "localhost:1,localhost:2", "too many addresses" },
		{ ":1 :2", "too many addresses" },
		{ ":1, :2", "too many addresses" },
		{ "*:80", "\"*\" is not a host name or IPv4 address" },
		{ ",x:80", "\",x\" is not a host name or IPv4 address" },
		{ "me@host:80", "\"me@host\" is not a host name or IPv4 address" },
		{ "a\nb:80", "\"a\\x0ab\" is not a host name or IPv4 address" },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(bad); i++) {
		char host[64], why[PA_PARSE_WHY_BYTES] = "";
		uint16_t port;

		assert_false(pa_parse_address(bad[i].text, host, &port, why));
		assert_string_equal(why, bad[i].why);
	}
}

static void paths_of_sockets_are_checked(void **unused)
{
#define LETTER "only %p, the pid, is replaced in the path of a socket"
	static const struct {
		const char *path, *why;
	} paths[] = {
		{ "/run/x.sock", NULL },
		{ "/%p/1%%.s", NULL },
		{ "/1234567890", NULL }, /* with .4194304: 19 bytes */
		{ "/1234567890a",
			"with the pid the path of the socket has 20 bytes, and may have 19" },
		{ "/1234567890%p", NULL },
		{ "/1234567890ab%p",
			"with the pid the path of the socket has 20 bytes, and may have 19" },
		{ "run/x", "the path of a socket must be absolute" },
		{ "", "the path of a socket must be absolute" },
		{ "/%e", LETTER },
		{ "/%", LETTER },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(paths); i++) {
		char why[PA_PARSE_WHY_BYTES] = "";
		assert_int_equal(pa_parse_socket_path(paths[i].path, 20, why), !paths[i].why);
		assert_string_equal(why, paths[i].why ? paths[i].why : "");
	}
}

static void lists_match_as_fnmatch_does(void **unused)
{
	char longest[302];

	(void)unused;
	assert_true(pa_parse_listed("nginx", "nginx"));
	assert_false(pa_parse_listed("nginx", "nginx2"));
	assert_false(pa_parse_listed("ngin", "nginx"));
	assert_true(pa_parse_listed("redis-*,nginx", "nginx"));
	assert_true(pa_parse_listed("redis-*, nginx ", "nginx"));
	assert_true(pa_parse_listed("redis-*,nginx", "redis-server"));
	assert_true(pa_parse_listed("python3.?", "python3.9"));
	assert_true(pa_parse_listed("python3.[0-9]*", "python3.11"));
	assert_false(pa_parse_listed("python3.?", "python3.11"));
	assert_true(pa_parse_listed(",,x", "x"));
	assert_false(pa_parse_listed("", ""));
	assert_false(pa_parse_listed(",, ", ""));
	assert_true(pa_parse_listed("*", ""));
	memset(longest, 'x', 300);
	memcpy(longest + 300, "*", 2);
	assert_false(pa_parse_listed(longest, "x"));
	longest[299] = ',';
	assert_true(pa_parse_listed(longest, "x"));
}

static void slips_are_few_in_a_misspelt_name(void **unused)
{
	(void)unused;
	assert_int_equal(pa_parse_distance("ADDRESS", "ADDRESS"), 0);
	assert_int_equal(pa_parse_distance("address", "ADDRESS"), 0);
	assert_int_equal(pa_parse_distance("ADRESS", "ADDRESS"), 1);
	assert_int_equal(pa_parse_distance("ADDRSES", "ADDRESS"), 2);
	assert_int_equal(pa_parse_distance("HEAPRATE", "HEAP_RATE"), 1);
	assert_int_equal(pa_parse_distance("LOGS", "LOG"), 1);
	assert_int_equal(pa_parse_distance("ADDR", "ADDRESS"), 3);
	assert_int_equal(pa_parse_distance("LOG_LEVEL", "LOG"), 6);
	assert_int_equal(pa_parse_distance("DEPTH", "STACK_DEPTH"), 6);
}

static void far_names_are_far(void **unused)
{
	(void)unused;
	assert_true(pa_parse_distance("", "LOG") == SIZE_MAX);
	assert_true(pa_parse_distance("XYZZY", "ADDRESS") == SIZE_MAX);
	assert_true(pa_parse_distance("URL", "LOG") == SIZE_MAX);
	assert_true(pa_parse_distance("ZZ", "CPU_HZ") == SIZE_MAX);
	assert_true(pa_parse_distance("LOG_LOG_LOG_LOG_LOG_LOG_LOG_LOG_LOG_LOG_LOG", "LOG") ==
		SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_decimal_digits_within_bounds),
		cmocka_unit_test(sizes_take_units),
		cmocka_unit_test(sizes_show_their_largest_unit),
		cmocka_unit_test(signals_have_names_and_numbers),
		cmocka_unit_test(signals_that_no_handler_may_take_are_refused),
		cmocka_unit_test(each_signal_shows_as_a_name_that_means_it),
		cmocka_unit_test(good_addresses_give_host_and_port),
		cmocka_unit_test(bad_addresses_say_what_is_wrong),
		cmocka_unit_test(paths_of_sockets_are_checked),
		cmocka_unit_test(lists_match_as_fnmatch_does),
		cmocka_unit_test(slips_are_few_in_a_misspelt_name),
		cmocka_unit_test(far_names_are_far),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

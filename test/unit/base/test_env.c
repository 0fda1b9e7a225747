/* SPDX-License-Identifier: Apache-2.0 */
/* Settings one by one: values, defaults, messages about invalid ones. Which processes read them:
 * test_env_processes.c. */
#include "test/lib/c/read_env.h"

#include <signal.h>

static void assert_line(char *entry, const char *line)
{
	char expected[1024];

	read_as("prog", ENVIRON(entry));
	snprintf(expected, sizeof(expected), "pprofagent: %s\n", line);
	assert_string_equal(got.lines, expected);
}

static void assert_defaults(void)
{
	assert_true(got.settings.enabled);
	assert_false(got.settings.launcher);
	assert_true(got.settings.children);
	assert_false(got.settings.child);
	assert_int_equal(got.settings.log, PA_ENV_LOG_ERROR);
	assert_int_equal(got.settings.symbols, PA_ENV_SYMBOLS_LINES);
	assert_int_equal(got.settings.heap_rate_bytes, 524288);
	assert_true(got.settings.block_rate_ns == 0);
	assert_true(got.settings.mutex_fraction == 0);
	assert_int_equal(got.settings.cpu_hz, 100);
	assert_int_equal(got.settings.stack_depth, 128);
	assert_int_equal(got.settings.buffer_bytes, 4 << 20);
	assert_int_equal(got.settings.signal, SIGRTMAX - 3);
	assert_string_equal(got.settings.address, "localhost:6053");
	assert_string_equal(got.settings.host, "localhost");
	assert_int_equal(got.settings.port, 6053);
	assert_string_equal(got.settings.hosts, "");
	assert_string_equal(got.settings.programs, "");
	assert_string_equal(got.settings.token, "");
}

static void nothing_set_gives_the_defaults(void **unused)
{
	(void)unused;
	read_as("prog", ENVIRON("HOME=/", "PPROFAGENT=1", "XPPROFAGENT_LOG=x"));
	assert_defaults();
	assert_true(got.settings.serving);
	assert_string_equal(got.lines, "");
	read_as(NULL, NULL);
	assert_defaults();
	assert_true(got.settings.serving);
}

static void files_at_exit_are_taken_as_they_are(void **unused)
{
	static const char *const names[PA_ENV_EXIT_COUNT] = { [PA_ENV_EXIT_CPU] = "CPU",
		[PA_ENV_EXIT_HEAP] = "HEAP",
		[PA_ENV_EXIT_ALLOCS] = "ALLOCS",
		[PA_ENV_EXIT_BLOCK] = "BLOCK",
		[PA_ENV_EXIT_MUTEX] = "MUTEX" };
	(void)unused;
	for (int i = 0; i < PA_ENV_EXIT_COUNT; i++) {
		char entry[80];
		snprintf(entry, sizeof(entry), "PPROFAGENT_%sPROFILE=dir/%%p x", names[i]);
		read_as("prog", ENVIRON(entry));
		assert_string_equal(got.lines, "");
		for (int j = 0; j < PA_ENV_EXIT_COUNT; j++)
			assert_string_equal(got.settings.exit_files[j], i == j ? "dir/%p x" : "");
	}
}

static void empty_means_unset(void **unused)
{
	(void)unused;
	read_as("prog",
		ENVIRON("PPROFAGENT_ADDRESS=", "PPROFAGENT_HEAP_RATE=", "PPROFAGENT_CPU_HZ=",
			"PPROFAGENT_STACK_DEPTH=", "PPROFAGENT_BUFFER=", "PPROFAGENT_SIGNAL=",
			"PPROFAGENT_SYMBOLS=", "PPROFAGENT_PROGRAMS=", "PPROFAGENT_CHILDREN=",
			"PPROFAGENT_HOSTS=", "PPROFAGENT_LOG=", "PPROFAGENT_ENABLED=",
			"PPROFAGENT_TOKEN=", "PPROFAGENT_PARENT=", "PPROFAGENT_NONSENSE=",
			"PPROFAGENT_MUTEX_FRACTION="));
	assert_defaults();
	assert_true(got.settings.serving);
	assert_string_equal(got.lines, "");
}

static void a_port_that_was_asked_for_is_for_all_users(void **unused)
{
	(void)unused;
	assert_silent("PPROFAGENT_LOG=error");
	assert_int_equal(got.settings.peers, PA_ENV_PEERS_USER);
	assert_silent("PPROFAGENT_ADDRESS=");
	assert_int_equal(got.settings.peers, PA_ENV_PEERS_USER);
	assert_silent("PPROFAGENT_ADDRESS=localhost:6053");
	assert_int_equal(got.settings.peers, PA_ENV_PEERS_ALL);
	assert_silent("PPROFAGENT_PEERS=all");
	assert_int_equal(got.settings.peers, PA_ENV_PEERS_ALL);
	read_as("prog", ENVIRON("PPROFAGENT_PEERS=user", "PPROFAGENT_ADDRESS=localhost:1"));
	assert_int_equal(got.settings.peers, PA_ENV_PEERS_USER);
	assert_silent("PPROFAGENT_ADDRESS=unix:/run/x.sock");
	assert_int_equal(got.settings.peers, PA_ENV_PEERS_USER);
	assert_string_equal(got.settings.socket_path, "/run/x.sock");
	assert_string_equal(got.settings.host, "");
	assert_line("PPROFAGENT_PEERS=any",
		"PPROFAGENT_PEERS=\"any\": must be user or all; using the default");
	assert_int_equal(got.settings.peers, PA_ENV_PEERS_USER);
}

static void empty_block_rate_is_one(void **unused)
{
	(void)unused;
	assert_silent("PPROFAGENT_BLOCK_RATE=");
	assert_true(got.settings.block_rate_ns == 1);
	assert_true(got.settings.mutex_fraction == 0);
	/* the first of equal names counts, empty or not */
	read_as("prog", ENVIRON("PPROFAGENT_BLOCK_RATE=", "PPROFAGENT_BLOCK_RATE=20"));
	assert_true(got.settings.block_rate_ns == 1);
}

static void rates_of_contention_go_up_to_what_fits(void **unused)
{
	(void)unused;
	assert_silent("PPROFAGENT_BLOCK_RATE=1");
	assert_true(got.settings.block_rate_ns == 1);
	assert_silent("PPROFAGENT_BLOCK_RATE=020");
	assert_true(got.settings.block_rate_ns == 20);
	assert_silent("PPROFAGENT_BLOCK_RATE=9223372036854775807");
	assert_true(got.settings.block_rate_ns == INT64_MAX);
	assert_silent("PPROFAGENT_MUTEX_FRACTION=0");
	assert_true(got.settings.mutex_fraction == 0);
	assert_silent("PPROFAGENT_MUTEX_FRACTION=1");
	assert_true(got.settings.mutex_fraction == 1);
	assert_silent("PPROFAGENT_MUTEX_FRACTION=9223372036854775807");
	assert_true(got.settings.mutex_fraction == INT64_MAX);
}

static void good_values_are_taken(void **unused)
{
	(void)unused;
	read_as("redis-server",
		ENVIRON("PPROFAGENT_ADDRESS=:0", "PPROFAGENT_BLOCK_RATE=20",
			"PPROFAGENT_MUTEX_FRACTION=5", "PPROFAGENT_HEAP_RATE=1M",
			"PPROFAGENT_CPU_HZ=1000", "PPROFAGENT_STACK_DEPTH=1",
			"PPROFAGENT_BUFFER=64k", "PPROFAGENT_SIGNAL=SIGPROF",
			"PPROFAGENT_SYMBOLS=none", "PPROFAGENT_PROGRAMS=nginx,redis-*",
			"PPROFAGENT_CHILDREN=off", "PPROFAGENT_HOSTS=a.example,b.example",
			"PPROFAGENT_LOG=info", "PPROFAGENT_ENABLED=1", "PPROFAGENT_TOKEN=s3cret"));
	assert_string_equal(got.lines, "");
	assert_true(got.settings.serving);
	assert_string_equal(got.settings.address, ":0");
	assert_string_equal(got.settings.host, "");
	assert_int_equal(got.settings.port, 0);
	assert_true(got.settings.block_rate_ns == 20);
	assert_true(got.settings.mutex_fraction == 5);
	assert_int_equal(got.settings.heap_rate_bytes, 1 << 20);
	assert_int_equal(got.settings.cpu_hz, 1000);
	assert_int_equal(got.settings.stack_depth, 1);
	assert_int_equal(got.settings.buffer_bytes, 65536);
	assert_int_equal(got.settings.signal, SIGPROF);
	assert_int_equal(got.settings.symbols, PA_ENV_SYMBOLS_NONE);
	assert_false(got.settings.launcher);
	assert_false(got.settings.children);
	assert_string_equal(got.settings.hosts, "a.example,b.example");
	assert_int_equal(got.settings.log, PA_ENV_LOG_INFO);
	assert_true(got.settings.enabled);
	assert_string_equal(got.settings.token, "s3cret");
}

static void values_are_copied_not_kept(void **unused)
{
	char entry[] = "PPROFAGENT_TOKEN=s3cret";

	(void)unused;
	read_as("prog", ENVIRON(entry));
	memset(entry, 'x', sizeof(entry) - 1);
	assert_string_equal(got.settings.token, "s3cret");
}

static void the_first_of_equal_names_counts(void **unused)
{
	(void)unused;
	read_as("prog", ENVIRON("PPROFAGENT_CPU_HZ=7", "PPROFAGENT_CPU_HZ=bad"));
	assert_int_equal(got.settings.cpu_hz, 7);
	assert_string_equal(got.lines, "");
}

static void a_bad_address_is_said_and_not_served(void **unused)
{
	static const struct {
		char *entry;
		const char *line;
	} bad[] = {
		{ "PPROFAGENT_ADDRESS=localhost",
			"PPROFAGENT_ADDRESS=\"localhost\": missing port "
			"in address (want host:port, "
			":port or off); not serving" },
		{ "PPROFAGENT_ADDRESS=6060",
			"PPROFAGENT_ADDRESS=\"6060\": missing port in address "
			"(did you mean \":6060\"?); "
			"not serving" },
		{ "PPROFAGENT_ADDRESS=:99999",
			"PPROFAGENT_ADDRESS=\":99999\": port 99999 out of "
			"range 0-65535; not serving" },
		{ "PPROFAGENT_ADDRESS=:http",
			"PPROFAGENT_ADDRESS=\":http\": port \"http\" is not a number; not "
			"serving" },
		{ "PPROFAGENT_ADDRESS=http://localhost:6053",
			"PPROFAGENT_ADDRESS=\"http://localhost:6053\": give an address, not a URL; "
			"not serving" },
		{ "PPROFAGENT_ADDRESS=[::1]",
			"PPROFAGENT_ADDRESS=\"[::1]\": missing port in address "
			"(want host:port, :port or off); not serving" },
		{ "PPROFAGENT_ADDRESS=unix:x",
			"PPROFAGENT_ADDRESS=\"unix:x\": the path of a socket must be absolute; "
			"not serving" },
		{ "PPROFAGENT_ADDRESS=:1,:2",
			"PPROFAGENT_ADDRESS=\":1,:2\": too many addresses; not serving" },
		{ "PPROFAGENT_ADDRESS=/foo",
			"PPROFAGENT_ADDRESS=\"/foo\": missing port in address "
			"(did you mean \"unix:/foo\"?); not serving" },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(bad); i++) {
		assert_line(bad[i].entry, bad[i].line);
		assert_defaults();
		assert_false(got.settings.serving);
	}
}

static void off_is_silent_and_not_served(void **unused)
{
	(void)unused;
	assert_silent("PPROFAGENT_ADDRESS=off");
	assert_false(got.settings.serving);
	assert_true(got.settings.enabled);
}

static void other_bad_values_are_said_and_their_default_used(void **unused)
{
	static const struct {
		char *entry;
		const char *line;
	} bad[] = {
		{ "PPROFAGENT_HEAP_RATE=-1",
			"PPROFAGENT_HEAP_RATE=\"-1\": must be a size >= 0 bytes; using 524288" },
		{ "PPROFAGENT_HEAP_RATE=1025G",
			"PPROFAGENT_HEAP_RATE=\"1025G\": must be at most 1024G; using 524288" },
		{ "PPROFAGENT_CPU_HZ=0", "PPROFAGENT_CPU_HZ=\"0\": must be 1-1000; using 100" },
		{ "PPROFAGENT_CPU_HZ=1001",
			"PPROFAGENT_CPU_HZ=\"1001\": must be 1-1000; using 100" },
		{ "PPROFAGENT_STACK_DEPTH=9999",
			"PPROFAGENT_STACK_DEPTH=\"9999\": must be 1-512; using 128" },
		{ "PPROFAGENT_BUFFER=5M",
			"PPROFAGENT_BUFFER=\"5M\": must be a power of two, 64k-1G; using 4M" },
		{ "PPROFAGENT_FLIGHT=1k",
			"PPROFAGENT_FLIGHT=\"1k\": must be 0, or a size, 64k-1G; using 0" },
		{ "PPROFAGENT_BUFFER=32k",
			"PPROFAGENT_BUFFER=\"32k\": must be a power of two, 64k-1G; using 4M" },
		{ "PPROFAGENT_BUFFER=2G",
			"PPROFAGENT_BUFFER=\"2G\": must be a power of two, 64k-1G; using 4M" },
		{ "PPROFAGENT_SIGNAL=KILL",
			"PPROFAGENT_SIGNAL=\"KILL\": must be a catchable signal; using "
			"SIGRTMAX-3" },
		{ "PPROFAGENT_SYMBOLS=all",
			"PPROFAGENT_SYMBOLS=\"all\": must be lines, names or none; using lines" },
		{ "PPROFAGENT_CHILDREN=maybe",
			"PPROFAGENT_CHILDREN=\"maybe\": must be on or off; using on" },
		{ "PPROFAGENT_LOG=loud",
			"PPROFAGENT_LOG=\"loud\": must be off, error or info; using error" },
		{ "PPROFAGENT_ENABLED=maybe",
			"PPROFAGENT_ENABLED=\"maybe\": must be 0, 1, true or false; using true" },
		{ "PPROFAGENT_CPU_HZ=\x1b[2J\n",
			"PPROFAGENT_CPU_HZ=\"\\x1b[2J\\x0a\": must be 1-1000; using 100" },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(bad); i++) {
		assert_line(bad[i].entry, bad[i].line);
		assert_defaults();
		assert_true(got.settings.serving);
	}
}

static void bad_rates_of_contention_are_said(void **unused)
{
	static const char *const bad_rates[] = { "0", "00", "-1", "+1", "20 30", " 20", "20 ", "1k",
		"1.5", "1e3", "0x10", "off", "invalid", "9223372036854775808",
		"99999999999999999999" };
	static const char *const bad_fractions[] = { "-1", "+1", "1 2", " 1", "1 ", "1k", "0.5",
		"x", "off", "9223372036854775808", "99999999999999999999" };
	char entry[128], line[256];

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(bad_rates); i++) {
		snprintf(entry, sizeof(entry), "PPROFAGENT_BLOCK_RATE=%s", bad_rates[i]);
		snprintf(line, sizeof(line),
			"PPROFAGENT_BLOCK_RATE=\"%s\": rate must be a "
			"positive integer; block profiling off",
			bad_rates[i]);
		assert_line(entry, line);
		assert_defaults();
		assert_true(got.settings.serving);
	}
	for (size_t i = 0; i < PA_COUNT(bad_fractions); i++) {
		snprintf(entry, sizeof(entry), "PPROFAGENT_MUTEX_FRACTION=%s", bad_fractions[i]);
		snprintf(line, sizeof(line),
			"PPROFAGENT_MUTEX_FRACTION=\"%s\": must be an integer >= 0; using 0",
			bad_fractions[i]);
		assert_line(entry, line);
		assert_defaults();
		assert_true(got.settings.serving);
	}
}

static void too_long_texts_are_refused(void **unused)
{
	char entry[400] = "PPROFAGENT_HOSTS=", line[256], shown[65] = "";
	size_t start = strlen(entry);

	(void)unused;
	memset(entry + start, 'h', 255);
	assert_silent(entry);
	assert_int_equal(strlen(got.settings.hosts), 255);

	memset(entry + start, 'h', 256);
	memset(shown, 'h', 64);
	snprintf(line, sizeof(line),
		"PPROFAGENT_HOSTS=\"%s\": longer than 255 bytes; using the default", shown);
	assert_line(entry, line);
	assert_defaults();
}

static void a_bad_token_closes_the_port_and_is_not_shown(void **unused)
{
	char entry[400] = "PPROFAGENT_TOKEN=";

	(void)unused;
	memset(entry + strlen(entry), 's', 256);
	assert_line(entry, "PPROFAGENT_TOKEN: longer than 255 bytes; not serving");
	assert_false(got.settings.serving);
	assert_defaults();
}

static void a_very_long_address_gets_a_whole_line(void **unused)
{
	char entry[400] = "PPROFAGENT_ADDRESS=";
	size_t start = strlen(entry);

	(void)unused;
	memset(entry + start, '\x01', 250);
	memcpy(entry + start + 250, ":80", 4);
	read_as("prog", ENVIRON(entry));
	assert_non_null(strstr(got.lines, "\" is not a host name or IPv4 address; not serving\n"));
	assert_false(got.settings.serving);
}

static void lines_come_in_the_order_of_the_table(void **unused)
{
	(void)unused;
	read_as("prog",
		ENVIRON("PPROFAGENT_XYZZY=1", "PPROFAGENT_LOG=loud", "PPROFAGENT_CPU_HZ=x",
			"PPROFAGENT_ADDRESS=x", "PPROFAGENT_BUFFER=1",
			"PPROFAGENT_MUTEX_FRACTION=x", "PPROFAGENT_BLOCK_RATE=x"));
	assert_string_equal(got.lines,
		"pprofagent: PPROFAGENT_ADDRESS=\"x\": missing port in address (want host:port, "
		":port "
		"or off); not serving\n"
		"pprofagent: PPROFAGENT_BLOCK_RATE=\"x\": rate must be a positive integer; "
		"block profiling off\n"
		"pprofagent: PPROFAGENT_MUTEX_FRACTION=\"x\": must be an integer >= 0; using 0\n"
		"pprofagent: PPROFAGENT_CPU_HZ=\"x\": must be 1-1000; using 100\n"
		"pprofagent: PPROFAGENT_BUFFER=\"1\": must be a power of two, 64k-1G; using 4M\n"
		"pprofagent: PPROFAGENT_LOG=\"loud\": must be off, error or info; using error\n"
		"pprofagent: PPROFAGENT_XYZZY: unknown setting; ignored\n");
}

static void unknown_names_get_the_nearest_one(void **unused)
{
	static const struct {
		char *entry;
		const char *line;
	} unknown[] = {
		{ "PPROFAGENT_ADRESS=:1",
			"PPROFAGENT_ADRESS: unknown setting "
			"(did you mean PPROFAGENT_ADDRESS?); ignored" },
		{ "PPROFAGENT_ADDR=:1",
			"PPROFAGENT_ADDR: unknown setting "
			"(did you mean PPROFAGENT_ADDRESS?); ignored" },
		{ "PPROFAGENT_address=:1",
			"PPROFAGENT_address: unknown setting "
			"(did you mean PPROFAGENT_ADDRESS?); ignored" },
		{ "PPROFAGENT_HOST=x",
			"PPROFAGENT_HOST: unknown setting "
			"(did you mean PPROFAGENT_HOSTS?); ignored" },
		{ "PPROFAGENT_BLOCK=1",
			"PPROFAGENT_BLOCK: unknown setting "
			"(did you mean PPROFAGENT_BLOCK_RATE?); ignored" },
		{ "PPROFAGENT_MUTEX_RATE=1",
			"PPROFAGENT_MUTEX_RATE: unknown setting "
			"(did you mean PPROFAGENT_MUTEX_FRACTION?); "
			"ignored" },
		{ "PPROFAGENT_TOKNE=s3cret",
			"PPROFAGENT_TOKNE: unknown setting "
			"(did you mean PPROFAGENT_TOKEN?); ignored" },
		{ "PPROFAGENT_PARENTS=1", "PPROFAGENT_PARENTS: unknown setting; ignored" },
		{ "PPROFAGENT_QUUX=1", "PPROFAGENT_QUUX: unknown setting; ignored" },
		{ "PPROFAGENT_=1", "PPROFAGENT_: unknown setting; ignored" },
		{ "PPROFAGENT_\x1b=1", "PPROFAGENT_\\x1b: unknown setting; ignored" },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(unknown); i++) {
		assert_line(unknown[i].entry, unknown[i].line);
		assert_defaults();
		assert_true(got.settings.serving);
	}
	assert_silent("PPROFAGENT_NO_VALUE");
}

static void a_very_long_unknown_name_is_cut(void **unused)
{
	char entry[300] = "PPROFAGENT_", line[200];

	(void)unused;
	memset(entry + 11, 'X', 200);
	strcpy(entry + 211, "=1");
	snprintf(line, sizeof(line), "%.64s: unknown setting; ignored", entry);
	assert_line(entry, line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_set_gives_the_defaults),
		cmocka_unit_test(files_at_exit_are_taken_as_they_are),
		cmocka_unit_test(empty_means_unset),
		cmocka_unit_test(a_port_that_was_asked_for_is_for_all_users),
		cmocka_unit_test(empty_block_rate_is_one),
		cmocka_unit_test(rates_of_contention_go_up_to_what_fits),
		cmocka_unit_test(good_values_are_taken),
		cmocka_unit_test(values_are_copied_not_kept),
		cmocka_unit_test(the_first_of_equal_names_counts),
		cmocka_unit_test(a_bad_address_is_said_and_not_served),
		cmocka_unit_test(off_is_silent_and_not_served),
		cmocka_unit_test(other_bad_values_are_said_and_their_default_used),
		cmocka_unit_test(bad_rates_of_contention_are_said),
		cmocka_unit_test(too_long_texts_are_refused),
		cmocka_unit_test(a_bad_token_closes_the_port_and_is_not_shown),
		cmocka_unit_test(a_very_long_address_gets_a_whole_line),
		cmocka_unit_test(lines_come_in_the_order_of_the_table),
		cmocka_unit_test(unknown_names_get_the_nearest_one),
		cmocka_unit_test(a_very_long_unknown_name_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

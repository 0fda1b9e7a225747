/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/proc_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/c/host_fixture.h"

#define STAT(comm)                                                                         \
	"42 (" comm ") S 7 42 42 0 -1 4194304 1 2 3 4 150 50 9 9 20 0 3 0 987654 1000 12 " \
	"18446744073709551615 1 1\n"

static struct pa_proc_process process;

static void stat_is_parsed(void **unused)
{
	(void)unused;
	assert_true(pa_proc_process_parse(STAT("name"), &process));
	assert_int_equal(process.pid, 42);
	assert_int_equal(process.ppid, 7);
	assert_int_equal(process.cpu_ticks, 200);
	assert_int_equal(process.threads, 3);
	assert_int_equal(process.start_ticks, 987654);
	assert_int_equal(process.rss_bytes, 12 * 4096);
	assert_string_equal(process.program, "name");
}

static void names_may_have_any_bytes(void **unused)
{
	(void)unused;
	assert_true(pa_proc_process_parse(STAT(") S 1 ("), &process));
	assert_string_equal(process.program, ") S 1 (");
	assert_int_equal(process.ppid, 7);
	assert_true(pa_proc_process_parse(STAT("a\\nb\\\\c\\x"), &process));
	assert_string_equal(process.program, "a\nb\\c\\x");
	assert_true(pa_proc_process_parse(STAT("\xff\""), &process));
	assert_string_equal(process.program, "\xff\"");
	assert_true(pa_proc_process_parse(STAT(""), &process));
	assert_string_equal(process.program, "");
}

static void other_texts_are_no_stat(void **unused)
{
	static const char *const others[] = { "", "42", "42 (", ")(", "42 (a) S",
		"42 (a) S 7 1 1" };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(others); i++)
		assert_false(pa_proc_process_parse(others[i], &process));
}

static void user_and_inner_pid_are_those_of_status(void **unused)
{
	char status[256];
	pid_t inner = 0;
	(void)unused;
	snprintf(status, sizeof(status), "Name:\tx\nUid:\t%u\t%u\t5\t5\nNSpid:\t42\t17\t1\n",
		getuid(), geteuid());
	host_file("/proc/42/status", status);
	assert_true(pa_proc_process_is_of_user(42, &inner));
	assert_int_equal(inner, 1);
	snprintf(status, sizeof(status), "Name:\tx\nUid:\t%u\t%u\t5\t5\n", getuid(), geteuid());
	host_file("/proc/42/status", status);
	assert_true(pa_proc_process_is_of_user(42, &inner));
	assert_int_equal(inner, 42);
	snprintf(status, sizeof(status), "Name:\tx\nUid:\t%u\t%u\t0\t0\n", getuid() + 1, geteuid());
	host_file("/proc/42/status", status);
	assert_false(pa_proc_process_is_of_user(42, &inner));
	snprintf(status, sizeof(status), "Name:\tx\nUid:\t%u\t%u\t0\t0\n", getuid(), geteuid() + 1);
	host_file("/proc/42/status", status);
	assert_false(pa_proc_process_is_of_user(42, &inner));
	assert_false(pa_proc_process_is_of_user(43, &inner));
}

static enum pa_proc_process_state state_at(uint64_t age_ticks)
{
	uint32_t place = 0;
	return pa_proc_process_find_agent(42, age_ticks, &place).state;
}

static void agent_is_found_by_its_threads(void **unused)
{
	(void)unused;
	host_file("/proc/42/maps", "1000-2000 r-xp 0 0 0 /bin/x\n");
	host_file("/proc/42/task/42/comm", "program\n");
	assert_int_equal(state_at(0), PA_PROC_PROCESS_NONE);
	host_file("/proc/42/task/43/comm", "pprofagent\n");
	assert_int_equal(state_at(0), PA_PROC_PROCESS_STARTING);
	assert_int_equal(state_at(1000000), PA_PROC_PROCESS_INERT);
	host_file("/proc/42/task/44/comm", "pprof:6060\n");
	uint32_t place = 0, there;
	struct pa_proc_process_agent agent = pa_proc_process_find_agent(42, 1000000, &place);
	assert_int_equal(agent.state, PA_PROC_PROCESS_SERVING);
	assert_int_equal(agent.port, 6060);
	assert_int_equal(agent.server_tid, 44);
	/* Wherever the server was in the process before. */
	there = place;
	for (uint32_t before = 0; before < 5; before++) {
		place = before;
		agent = pa_proc_process_find_agent(42, 1000000, &place);
		assert_int_equal(agent.server_tid, 44);
		assert_int_equal(place, there);
	}
}

static void inert_agent_is_found_by_its_file(void **unused)
{
	char maps[9000];
	(void)unused;
	host_file("/proc/42/task/42/comm", "sh\n");
	/* The name crosses the end of what is read at once, wherever that is. */
	for (size_t before = 4070; before < 4100; before++) {
		memset(maps, 'x', before);
		strcpy(maps + before, "/lib/libpprofagent.so\n");
		host_file("/proc/42/maps", maps);
		assert_int_equal(state_at(0), PA_PROC_PROCESS_INERT);
	}
	host_file("/proc/42/maps", "/lib/libpprofagent.s\n");
	assert_int_equal(state_at(0), PA_PROC_PROCESS_NONE);
}

static void arguments_are_joined_by_spaces(void **unused)
{
	char text[64];
	(void)unused;
	pa_proc_process_cmdline(getpid(), text, sizeof(text));
	assert_string_equal(text, "");
	host_file("/proc/42/cmdline", "one line  ");
	pa_proc_process_cmdline(42, text, sizeof(text));
	assert_string_equal(text, "one line");
	pa_proc_process_cmdline(42, text, 4);
	assert_string_equal(text, "one");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, host_set_up, host_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(stat_is_parsed),
		TEST(names_may_have_any_bytes),
		TEST(other_texts_are_no_stat),
		TEST(user_and_inner_pid_are_those_of_status),
		TEST(agent_is_found_by_its_threads),
		TEST(inert_agent_is_found_by_its_file),
		TEST(arguments_are_joined_by_spaces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

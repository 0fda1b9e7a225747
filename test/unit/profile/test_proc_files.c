/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/lib/c/host_fixture.h"

static void text_is_the_start_of_a_file(void **unused)
{
	char text[4] = "old";

	(void)unused;
	assert_false(pa_proc_files_text("/none", text, sizeof(text)));
	assert_string_equal(text, "");
	host_file("/some", "12345");
	assert_true(pa_proc_files_text("/some", text, sizeof(text)));
	assert_string_equal(text, "123");
	host_file("/empty", "");
	assert_false(pa_proc_files_text("/empty", text, sizeof(text)));
}

static void numbers_saturate_and_words_are_none(void **unused)
{
	(void)unused;
	assert_int_equal(pa_proc_files_number("17\n", 5), 17);
	assert_int_equal(pa_proc_files_number("max\n", 5), 5);
	assert_int_equal(pa_proc_files_number("", 5), 5);
	assert_true(pa_proc_files_number("18446744073709551616", 5) == UINT64_MAX);
	assert_int_equal(pa_proc_files_number_behind("a 1\nbc:\t 22\nc 3", "bc:"), 22);
	assert_int_equal(pa_proc_files_number_behind("abc 1", "bc"), 0);
}

static uint64_t limit_of(const struct pa_proc_files_group *group)
{
	return pa_proc_files_group_number(group, group->unified ? "pids.max" : "old.max",
		UINT64_MAX);
}

static void the_tightest_group_up_to_the_mount_counts(void **unused)
{
	(void)unused;
	host_file("/proc/thread-self/cgroup", "0::/a/b\n");
	host_file("/sys/fs/cgroup/a/b/pids.max", "max\n");
	assert_true(pa_proc_files_groups("pids", limit_of) == UINT64_MAX);
	host_file("/sys/fs/cgroup/a/b/pids.max", "30\n");
	assert_int_equal(pa_proc_files_groups("pids", limit_of), 30);
	host_file("/sys/fs/cgroup/a/pids.max", "20\n");
	assert_int_equal(pa_proc_files_groups("pids", limit_of), 20);
	host_file("/sys/fs/cgroup/pids.max", "10\n");
	assert_int_equal(pa_proc_files_groups("pids", limit_of), 10);
	host_file("/sys/fs/pids.max", "1\n");
	assert_int_equal(pa_proc_files_groups("pids", limit_of), 10);
}

/* A container's own group is what is mounted there, and its path leads nowhere. */
static void a_group_out_of_sight_has_its_mount(void **unused)
{
	(void)unused;
	host_file("/proc/thread-self/cgroup", "0::/../../elsewhere\n");
	host_file("/sys/fs/cgroup/pids.max", "12\n");
	assert_int_equal(pa_proc_files_groups("pids", limit_of), 12);
	host_file("/proc/thread-self/cgroup", "0::/\n");
	assert_int_equal(pa_proc_files_groups("pids", limit_of), 12);
}

static void groups_of_the_first_version_have_a_mount_each(void **unused)
{
	(void)unused;
	host_file("/proc/thread-self/cgroup", "8:pids:/x\n4:memory:/y\n0::/\n");
	host_file("/sys/fs/cgroup/pids/x/old.max", "9\n");
	host_file("/sys/fs/cgroup/memory/y/old.max", "8\n");
	assert_int_equal(pa_proc_files_groups("pids", limit_of), 9);
	assert_int_equal(pa_proc_files_groups("memory", limit_of), 8);
	host_file("/sys/fs/cgroup/unified/pids.max", "7\n");
	assert_int_equal(pa_proc_files_groups("pids", limit_of), 7);
}

static bool add(void *sum, const struct pa_proc_files_entry *process)
{
	*(uint64_t *)sum += process->number;
	return *(uint64_t *)sum < 1000;
}

static void processes_are_the_numbers_of_proc(void **unused)
{
	uint64_t sum = 0;

	(void)unused;
	host_file("/proc/10/status", "");
	host_file("/proc/300/status", "");
	host_file("/proc/self/status", "");
	pa_proc_files_entries("/proc", add, &sum);
	assert_int_equal(sum, 310);
	host_file("/proc/1001/status", "");
	sum = 999;
	pa_proc_files_entries("/proc", add, &sum);
	assert_true(sum == 1009 || sum == 1299 || sum == 2000);
}

static bool read_status(void *text, const struct pa_proc_files_entry *process)
{
	char other[8];

	assert_false(pa_proc_files_text_below(process, "nothing", other, sizeof(other)));
	assert_string_equal(other, "");
	assert_true(pa_proc_files_text_below(process, "task/7/comm", text, 8));
	return false;
}

static void a_file_below_an_entry_is_read(void **unused)
{
	char text[8];

	(void)unused;
	host_file("/proc/10/task/7/comm", "a name of more");
	pa_proc_files_entries("/proc", read_status, text);
	assert_string_equal(text, "a name ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, host_set_up, host_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(text_is_the_start_of_a_file),
		TEST(numbers_saturate_and_words_are_none),
		TEST(the_tightest_group_up_to_the_mount_counts),
		TEST(a_group_out_of_sight_has_its_mount),
		TEST(groups_of_the_first_version_have_a_mount_each),
		TEST(processes_are_the_numbers_of_proc),
		TEST(a_file_below_an_entry_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

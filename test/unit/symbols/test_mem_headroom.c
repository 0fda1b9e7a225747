/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/arch/arch.h"
#include "agent/symbols/mem_headroom.h"

static void a_group_leaves_its_limit_less_its_usage(void **unused)
{
	(void)unused;
	assert_int_equal(pa_mem_headroom_of_group("1000000\n", "400000\n", ""), 600000);
	assert_int_equal(pa_mem_headroom_of_group("1000000\n", "1000000\n", ""), 0);
	assert_int_equal(pa_mem_headroom_of_group("1000000\n", "1000001\n", ""), 0);
}

static void unused_file_pages_are_room(void **unused)
{
	(void)unused;
	assert_int_equal(pa_mem_headroom_of_group("1000000", "900000",
				 "anon 5\nfile 6\ninactive_file 300000\nactive_file 1\n"),
		400000);
	assert_int_equal(pa_mem_headroom_of_group("1000000", "900000",
				 "cache 5\ntotal_inactive_file 300000\n"),
		400000);
	assert_int_equal(pa_mem_headroom_of_group("1000", "900", "inactive_file 5000"), 1000);
}

static void a_group_without_limit_leaves_all(void **unused)
{
	(void)unused;
	assert_true(pa_mem_headroom_of_group("max\n", "400000\n", "") == UINT64_MAX);
	assert_true(pa_mem_headroom_of_group("", "", "") == UINT64_MAX);
	assert_true(pa_mem_headroom_of_group("99999999999999999999999", "1", "") == UINT64_MAX);
}

static void this_process_has_some_room_and_no_more_than_the_machine(void **unused)
{
	uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	(void)unused;
	assert_true(pa_mem_headroom_bytes() > 0);
	assert_true(pa_mem_headroom_bytes() <= machine);
}

/* A program under ulimit -v wants what is left for itself. */
static void an_address_space_limit_leaves_less(void **unused)
{
	const uint64_t left = (uint64_t)64 << 20;
	unsigned long pages = 0;
	int status;

	(void)unused;
	FILE *statm = fopen("/proc/self/statm", "r");
	assert_int_equal(fscanf(statm, "%lu", &pages), 1);
	fclose(statm);
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit limit = { pages * PA_PAGE_BYTES + left, RLIM_INFINITY };

		setrlimit(RLIMIT_AS, &limit);
		if (pa_mem_headroom_bytes() > left)
			_exit(1);
		if (!pa_mem_headroom_for(1) || pa_mem_headroom_for(left / 2))
			_exit(2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void little_cpu_time_is_left_alone(void **unused)
{
	struct rlimit before, low;

	(void)unused;
	assert_null(pa_mem_headroom_lacks(1));
	assert_int_equal(getrlimit(RLIMIT_CPU, &before), 0);
	low = before;
	low.rlim_cur = 4; /* the test itself takes less than 1 */
	assert_int_equal(setrlimit(RLIMIT_CPU, &low), 0);
	assert_string_equal(pa_mem_headroom_lacks(1), "RLIMIT_CPU");
	low.rlim_cur = 1000;
	assert_int_equal(setrlimit(RLIMIT_CPU, &low), 0);
	assert_null(pa_mem_headroom_lacks(1));
	assert_int_equal(setrlimit(RLIMIT_CPU, &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_leaves_its_limit_less_its_usage),
		cmocka_unit_test(unused_file_pages_are_room),
		cmocka_unit_test(a_group_without_limit_leaves_all),
		cmocka_unit_test(this_process_has_some_room_and_no_more_than_the_machine),
		cmocka_unit_test(an_address_space_limit_leaves_less),
		cmocka_unit_test(little_cpu_time_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

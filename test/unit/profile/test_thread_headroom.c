/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/resource.h>

#include "agent/profile/thread_headroom.h"
#include "test/lib/c/host_fixture.h"

#define ORDINARY "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nThreads:\t3\nCapEff:\t0000000000000000\n"
#define INITIAL "         0          0 4294967295\n"

static struct rlimit rlimit_before;

static int set_up(void **state)
{
	if (host_set_up(state) != 0 || getrlimit(RLIMIT_NPROC, &rlimit_before) != 0)
		return -1;
	host_file("/proc/loadavg", "0.20 0.18 0.12 1/500 11206\n");
	host_file("/proc/sys/kernel/threads-max", "1000\n");
	host_file("/proc/sys/kernel/pid_max", "4194304\n");
	host_file("/proc/thread-self/cgroup", "0::/app\n");
	host_file("/proc/thread-self/uid_map", INITIAL);
	host_file("/proc/thread-self/status", ORDINARY);
	host_file("/proc/7/status", ORDINARY);
	return 0;
}

static int tear_down(void **state)
{
	setrlimit(RLIMIT_NPROC, &rlimit_before);
	return host_tear_down(state);
}

static void limit_processes(rlim_t count)
{
	const struct rlimit limit = { count, rlimit_before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NPROC, &limit), 0);
}

static void is_room(uint64_t threads, const char *limit)
{
	const struct pa_thread_headroom room = pa_thread_headroom();
	assert_int_equal(room.threads, threads);
	assert_string_equal(room.limit, limit);
}

static void the_kernel_has_limits_for_all(void **unused)
{
	(void)unused;
	limit_processes(rlimit_before.rlim_max);
	is_room(1000 - 500, "kernel.threads-max");
	host_file("/proc/sys/kernel/pid_max", "502\n");
	is_room(2, "kernel.pid_max");
	host_file("/proc/sys/kernel/pid_max", "500\n");
	is_room(0, "kernel.pid_max");
}

static void a_group_may_be_full(void **unused)
{
	(void)unused;
	limit_processes(rlimit_before.rlim_max);
	host_file("/sys/fs/cgroup/app/pids.max", "max\n");
	host_file("/sys/fs/cgroup/app/pids.current", "9\n");
	is_room(1000 - 500, "kernel.threads-max");
	host_file("/sys/fs/cgroup/app/pids.max", "20\n");
	is_room(11, "pids.max");
	host_file("/sys/fs/cgroup/pids.max", "20\n");
	host_file("/sys/fs/cgroup/pids.current", "21\n");
	is_room(0, "pids.max");
}

static void the_users_threads_count_where_the_limit_is_near(void **unused)
{
	(void)unused;
	limit_processes(100);
	is_room(97, "RLIMIT_NPROC");
	host_file("/proc/8/status", "Name:\tx\nUid:\t1000\t0\t0\t0\nThreads:\t90\n");
	host_file("/proc/9/status", "Name:\tx\nUid:\t1001\t1000\t1000\t1000\nThreads:\t90\n");
	is_room(7, "RLIMIT_NPROC");
	host_file("/proc/10/status", "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nThreads:\t90\n");
	is_room(0, "RLIMIT_NPROC");
}

/* Which process the threads belong to need not be known. */
static void a_limit_far_above_all_threads_is_far(void **unused)
{
	(void)unused;
	limit_processes(5000);
	host_file("/proc/sys/kernel/threads-max", "100000\n");
	host_file("/proc/8/status", "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nThreads:\t4000\n");
	is_room(4500, "RLIMIT_NPROC");
}

static bool is_limited(const char *status, const char *map)
{
	host_file("/proc/thread-self/status", status);
	host_file("/proc/thread-self/uid_map", map);
	return strcmp(pa_thread_headroom().limit, "RLIMIT_NPROC") == 0;
}

static void root_and_capabilities_of_the_machine_are_exempt(void **unused)
{
	const char *root = "Name:\tx\nUid:\t0\t0\t0\t0\nCapEff:\t0000000000000000\n";
	const char *resource = "Name:\tx\nUid:\t1\t1\t1\t1\nCapEff:\t0000000001000000\n";
	const char *admin = "Name:\tx\nUid:\t1\t1\t1\t1\nCapEff:\t0000000000200000\n";
	const char *other = "Name:\tx\nUid:\t1\t1\t1\t1\nCapEff:\t00000000fedfffff\n";
	const char *inner = "         0     100000      65536\n";

	(void)unused;
	limit_processes(100);
	assert_false(is_limited(root, INITIAL));
	assert_false(is_limited(resource, INITIAL));
	assert_false(is_limited(admin, INITIAL));
	assert_true(is_limited(other, INITIAL));
	assert_true(is_limited(root, inner));
	assert_true(is_limited(admin, inner));
}

static unsigned share_of(uint64_t threads)
{
	const struct pa_thread_headroom room = { .threads = threads };
	return pa_thread_headroom_share(&room, 9);
}

static void a_quarter_is_for_the_agent(void **unused)
{
	(void)unused;
	assert_int_equal(share_of(UINT64_MAX), 9);
	assert_int_equal(share_of(36), 9);
	assert_int_equal(share_of(35), 8);
	assert_int_equal(share_of(16), 4);
	assert_int_equal(share_of(15), 0);
	assert_int_equal(share_of(0), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_kernel_has_limits_for_all),
		TEST(a_group_may_be_full),
		TEST(the_users_threads_count_where_the_limit_is_near),
		TEST(a_limit_far_above_all_threads_is_far),
		TEST(root_and_capabilities_of_the_machine_are_exempt),
		cmocka_unit_test(a_quarter_is_for_the_agent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

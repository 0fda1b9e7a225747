/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/base/clock.h"
#include "test/lib/c/perf_map_fixture.h"

#define PARENT 11
#define SOME_TEXT "1000 10 f\n"

static struct pa_perf_map_file file;

/* The error of opening the own map; closes it. */
static int open_own(void)
{
	int error = pa_perf_map_file_open(&file, 0);

	if (!error)
		pa_perf_map_file_close(&file);
	return error;
}

static void a_file_of_the_user_is_read(void **unused)
{
	char text[64];

	(void)unused;
	write_map(getpid(), SOME_TEXT);
	assert_int_equal(pa_perf_map_file_open(&file, 0), 0);
	assert_int_equal(file.bytes, strlen(SOME_TEXT));
	assert_int_equal(pa_perf_map_file_read(&file, text, 0, sizeof(text)), strlen(SOME_TEXT));
	assert_memory_equal(text, SOME_TEXT, strlen(SOME_TEXT));
	assert_int_equal(pa_perf_map_file_read(&file, text, 5, 2), 2);
	assert_int_equal(pa_perf_map_file_read(&file, text, file.bytes, 1), 0);
	assert_int_equal(pa_perf_map_file_read(&file, text, UINT64_MAX, 1), 0);
	/* What is appended later is not part of it. */
	append_map(getpid(), SOME_TEXT);
	assert_int_equal(pa_perf_map_file_read(&file, text, 0, sizeof(text)), strlen(SOME_TEXT));
	assert_true(fcntl(file.fd, F_GETFD) & FD_CLOEXEC);
	pa_perf_map_file_close(&file);
	assert_int_equal(pa_perf_map_file_open(&file, 1), -ESRCH);
	assert_int_equal(pa_perf_map_file_open(&file, PA_BRIDGE_ANCESTORS + 1), -ESRCH);
}

static void other_things_of_that_name_are_not_opened(void **unused)
{
	char other[PATH_MAX];

	(void)unused;
	assert_int_equal(open_own(), -ENOENT);
	write_map(PARENT, SOME_TEXT);
	snprintf(other, sizeof(other), "%s", map_path(PARENT));
	assert_int_equal(symlink(other, map_path(getpid())), 0);
	assert_int_equal(open_own(), -EINVAL);
	unlink(map_path(getpid()));
	/* A writer of the FIFO would be waiting for ever if it was opened. */
	assert_int_equal(mkfifo(map_path(getpid()), 0600), 0);
	assert_int_equal(open_own(), -EINVAL);
	assert_int_equal(open(map_path(getpid()), O_WRONLY | O_NONBLOCK), -1);
	unlink(map_path(getpid()));
	assert_int_equal(mkdir(map_path(getpid()), 0700), 0);
	assert_int_equal(open_own(), -EINVAL);
	rmdir(map_path(getpid()));
	/* A private file of the user that another one has linked. */
	assert_int_equal(link(other, map_path(getpid())), 0);
	assert_int_equal(open_own(), -EPERM);
	unlink(other);
	assert_int_equal(open_own(), 0);
}

static void a_file_of_another_user_is_not_opened(void **unused)
{
	(void)unused;
	write_map(getpid(), SOME_TEXT);
	if (chown(map_path(getpid()), geteuid() + 1, getegid()) != 0)
		skip();
	assert_int_equal(open_own(), -EPERM);
}

static void a_file_older_than_the_process_is_not_opened(void **unused)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	int64_t now_ns = pa_clock_wall_ns();

	(void)unused;
	write_map(getpid(), SOME_TEXT);
	map_bridge.start_wall_ns = now_ns;
	times[1] = (struct timespec){ (now_ns - PA_NS_PER_S) / PA_NS_PER_S, 500 };
	assert_int_equal(utimensat(AT_FDCWD, map_path(getpid()), times, 0), 0);
	assert_int_equal(open_own(), -ESTALE);
	/* A file system with whole seconds: the same second counts as later. */
	times[1] = (struct timespec){ now_ns / PA_NS_PER_S, 0 };
	assert_int_equal(utimensat(AT_FDCWD, map_path(getpid()), times, 0), 0);
	assert_int_equal(open_own(), 0);
	/* That of the parent may be older than the child. */
	write_map(PARENT, SOME_TEXT);
	times[1] = (struct timespec){ now_ns / PA_NS_PER_S - 60, 1 };
	assert_int_equal(utimensat(AT_FDCWD, map_path(PARENT), times, 0), 0);
	map_bridge.ancestors[0] = (struct pa_bridge_ancestor){ PARENT, now_ns - 100 * PA_NS_PER_S };
	pa_perf_map_file_boot();
	assert_int_equal(pa_perf_map_file_open(&file, 1), 0);
	pa_perf_map_file_close(&file);
	map_bridge.ancestors[0].start_wall_ns = now_ns;
	assert_int_equal(pa_perf_map_file_open(&file, 1), -ESTALE);
}

/* 0: as it should be; 77: not permitted here. */
static int in_namespace(void)
{
	char pid[16] = "";

	if (unshare(CLONE_NEWPID) != 0)
		return 77;
	pid_t child = fork();
	if (child == 0) {
		int outer;

		/* The id in this file's /proc, which is the outer one. */
		if (readlink("/proc/self", pid, sizeof(pid) - 1) <= 0)
			_exit(1);
		outer = atoi(pid);
		if (getpid() != 1 || outer == 1)
			_exit(2);
		pa_perf_map_file_boot();
		write_map(outer, SOME_TEXT);
		if (open_own() != 0 || file.bytes != strlen(SOME_TEXT))
			_exit(3);
		/* The name by which the program knows itself comes first. */
		write_map(1, SOME_TEXT SOME_TEXT);
		if (open_own() != 0 || file.bytes != 2 * strlen(SOME_TEXT))
			_exit(4);
		_exit(0);
	}
	int status;
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

static void the_ids_of_outer_namespaces_are_tried_too(void **unused)
{
	int status;

	(void)unused;
	pid_t child = fork();
	if (child == 0)
		_exit(in_namespace());
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, map_set_up, map_tear_down)
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(a_file_of_the_user_is_read),
		IN_DIRECTORY(other_things_of_that_name_are_not_opened),
		IN_DIRECTORY(a_file_of_another_user_is_not_opened),
		IN_DIRECTORY(a_file_older_than_the_process_is_not_opened),
		IN_DIRECTORY(the_ids_of_outer_namespaces_are_tried_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/modules/maps_jail.h"
#include "test/lib/c/maps_fixture.h"

/* ---------------------------------------------------------------- memory */

static void memory_that_is_not_there_reads_as_false(void **unused)
{
	char *memory =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char copy[64];

	(void)unused;
	strcpy(memory + PAGE - 8, "tail");
	munmap(memory + PAGE, PAGE);
	assert_true(pa_maps_read_memory(copy, (uintptr_t)memory + PAGE - 8, 8));
	assert_string_equal(copy, "tail");
	assert_false(pa_maps_read_memory(copy, (uintptr_t)memory + PAGE - 8, 9));
	assert_false(pa_maps_read_memory(copy, 0, 1));
	assert_false(pa_maps_read_memory(copy, UINTPTR_MAX, 16));
	assert_true(pa_maps_read_memory(copy, 0, 0));
	mprotect(memory, PAGE, PROT_NONE);
	assert_false(pa_maps_read_memory(copy, (uintptr_t)memory, 1));
	munmap(memory, PAGE);
}

static void cached_reads_cross_pages_and_fail_like_plain_ones(void **unused)
{
	char *memory =
		mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char copy[2 * PAGE];

	(void)unused;
	munmap(memory + 2 * PAGE, PAGE);
	for (size_t i = 0; i < 2 * PAGE; i++)
		memory[i] = (char)(i * 7 + i / 256);
	pa_maps_forget_pages();
	assert_true(pa_maps_read_cached(copy, (uintptr_t)memory + 100, 2 * PAGE - 200));
	assert_memory_equal(copy, memory + 100, 2 * PAGE - 200);
	assert_false(pa_maps_read_cached(copy, (uintptr_t)memory + 2 * PAGE - 4, 8));
	assert_true(pa_maps_read_cached(copy, (uintptr_t)memory + 2 * PAGE - 4, 4));
	assert_memory_equal(copy, memory + 2 * PAGE - 4, 4);
	munmap(memory, 2 * PAGE);
}

static void cached_pages_are_old_until_forgotten(void **unused)
{
	static volatile int value = 1;
	int copy = 0;

	(void)unused;
	pa_maps_forget_pages();
	assert_true(pa_maps_read_cached(&copy, (uintptr_t)&value, sizeof(copy)));
	value = 2;
	assert_true(pa_maps_read_cached(&copy, (uintptr_t)&value, sizeof(copy)));
	assert_int_equal(copy, 1);
	pa_maps_forget_pages();
	assert_true(pa_maps_read_cached(&copy, (uintptr_t)&value, sizeof(copy)));
	assert_int_equal(copy, 2);
}

/* ---------------------------------------------------------------- files */

static void only_files_are_opened(void **unused)
{
	char path[PATH_MAX];
	int fd;

	(void)unused;
	fd = pa_maps_open("/proc/self/maps");
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(mkfifo(path_in(path, "fifo"), 0600), 0);
	assert_int_equal(pa_maps_open(path), -EINVAL);
	assert_int_equal(symlink("/dev/null", path_in(path, "link")), 0);
	assert_int_equal(pa_maps_open(path), -EINVAL);
	assert_int_equal(pa_maps_open("/dev/null"), -EINVAL);
	assert_int_equal(pa_maps_open("/"), -EINVAL);
	assert_true(pa_maps_open("[vdso]") < 0);
	assert_true(pa_maps_open("/no/such/file") < 0);
}

static int in_jail(void)
{
	pa_maps_enter_jail();
	if (chroot(directory) != 0 || chdir("/") != 0)
		return 77;
	if (access("/proc/self/maps", F_OK) == 0)
		return 1;
	if (pa_maps_refresh() != 0)
		return 2;
	return pa_maps_find((uintptr_t)in_jail) ? 0 : 3;
}

static void maps_stay_readable_after_chroot(void **unused)
{
	int status;
	pid_t pid = fork();

	(void)unused;
	if (pid == 0)
		_exit(in_jail());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		skip(); /* needs root */
	assert_int_equal(status, 0);
}

static void a_child_that_held_the_tables_keeps_them(void **unused)
{
	int status;

	(void)unused;
	refresh();
	assert_non_null(pa_maps_get(1));
	pid_t pid = fork();
	if (pid == 0) {
		pa_maps_reset();
		_exit(pa_maps_find((uintptr_t)in_jail) == pa_maps_get(1) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_that_is_not_there_reads_as_false),
		cmocka_unit_test(cached_reads_cross_pages_and_fail_like_plain_ones),
		cmocka_unit_test(cached_pages_are_old_until_forgotten),
		cmocka_unit_test(only_files_are_opened),
		cmocka_unit_test(maps_stay_readable_after_chroot),
		cmocka_unit_test(a_child_that_held_the_tables_keeps_them),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

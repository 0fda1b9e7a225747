/* SPDX-License-Identifier: Apache-2.0 */
/* Linked with newer_libc.o before libc: stat and the like are those of the agent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/newer_libc.h"

static void is_same_file(const struct stat *ours, const struct stat *theirs)
{
	assert_memory_equal(ours, theirs, offsetof(struct stat, st_atim));
	assert_memory_equal(&ours->st_mtim, &theirs->st_mtim, sizeof(ours->st_mtim));
	assert_true(ours->st_ino != 0);
}

static void stat_family_is_that_of_libc(void **unused)
{
	int (*libc_stat)(const char *, struct stat *);
	int (*libc_lstat)(const char *, struct stat *);
	int (*libc_fstat)(int, struct stat *);
	struct stat ours = { 0 }, theirs = { 0 };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)unused;
	*(void **)&libc_stat = dlsym(RTLD_DEFAULT, "stat");
	*(void **)&libc_lstat = dlsym(RTLD_DEFAULT, "lstat");
	*(void **)&libc_fstat = dlsym(RTLD_DEFAULT, "fstat");
	assert_true(libc_stat && libc_stat != stat && libc_lstat != lstat && libc_fstat != fstat);
	assert_int_equal(stat("/proc/self/exe", &ours), 0);
	assert_int_equal(libc_stat("/proc/self/exe", &theirs), 0);
	is_same_file(&ours, &theirs);
	assert_int_equal(stat64("/proc/self/exe", (struct stat64 *)&ours), 0);
	is_same_file(&ours, &theirs);
	assert_int_equal(fstat(fd, &ours), 0);
	is_same_file(&ours, &theirs);
	assert_int_equal(lstat("/proc/self/exe", &ours), 0);
	assert_int_equal(libc_lstat("/proc/self/exe", &theirs), 0);
	is_same_file(&ours, &theirs);
	assert_true(S_ISLNK(ours.st_mode));
	close(fd);
}

static void stat_failures_are_in_errno(void **unused)
{
	struct stat status;

	(void)unused;
	errno = 0;
	assert_int_equal(stat("/no such file", &status), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(lstat("/etc/passwd/x", &status), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(fstat(-1, &status), -1);
	assert_int_equal(errno, EBADF);
}

static void gettid_is_the_threads_id(void **unused)
{
	(void)unused;
	assert_int_equal(gettid(), syscall(SYS_gettid));
}

static void explicit_bzero_clears_exactly(void **unused)
{
	char text[] = "0123456789";

	(void)unused;
	explicit_bzero(text + 2, 3);
	assert_memory_equal(text,
		"01\0\0\0"
		"56789",
		sizeof(text));
}

static void signals_have_the_names_of_libc(void **unused)
{
	(void)unused;
	for (int i = -1; i < 70; i++) {
		const char *ours = pa_newer_libc_signal(i), *theirs = sigabbrev_np(i);

		assert_int_equal(ours == NULL, theirs == NULL);
		if (ours)
			assert_string_equal(ours, theirs);
	}
}

static void errors_have_a_text(void **unused)
{
	(void)unused;
	assert_string_equal(pa_newer_libc_error(EADDRINUSE), "Address already in use");
	assert_string_equal(pa_newer_libc_error(-1), "unknown error");
	assert_string_equal(pa_newer_libc_error(99999), "unknown error");
}

static void floor_is_2_28(void **unused)
{
	static const char *const old[] = { "2.27", "2.9", "2.17", "2", "1.99", "" };
	static const char *const good[] = { "2.28", "2.31", "2.41", "2.100", "2.28.9000", "3.0" };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(old); i++)
		assert_true(pa_newer_libc_is_too_old(old[i]));
	for (size_t i = 0; i < PA_COUNT(good); i++)
		assert_false(pa_newer_libc_is_too_old(good[i]));
}

static void missing_names_are_those_that_libc_lacks(void **unused)
{
	static const char *const asked[] = { "strerrordesc_np", "mallinfo2", "_dl_find_object" };
	char missing[PA_NEWER_LIBC_MISSING_BYTES];

	(void)unused;
	pa_newer_libc_missing(missing);
	for (size_t i = 0; i < PA_COUNT(asked); i++)
		assert_int_equal(!strstr(missing, asked[i]), !!dlsym(RTLD_DEFAULT, asked[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stat_family_is_that_of_libc),
		cmocka_unit_test(stat_failures_are_in_errno),
		cmocka_unit_test(gettid_is_the_threads_id),
		cmocka_unit_test(explicit_bzero_clears_exactly),
		cmocka_unit_test(signals_have_the_names_of_libc),
		cmocka_unit_test(errors_have_a_text),
		cmocka_unit_test(floor_is_2_28),
		cmocka_unit_test(missing_names_are_those_that_libc_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

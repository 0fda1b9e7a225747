/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/quiet.h"

/* Runs test in a child, which has what signals do by default. */
static void in_a_child(int (*test)(void))
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		signal(SIGPIPE, SIG_DFL);
		signal(SIGXFSZ, SIG_DFL);
		_exit(test());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int closed_pipe(void)
{
	int ends[2];
	if (pipe(ends) != 0)
		abort();
	close(ends[0]);
	return ends[1];
}

static int limited_file(void)
{
	const struct rlimit none = { 0, 0 };
	char name[] = "/tmp/test_quiet.XXXXXX";
	int fd = mkstemp(name);
	unlink(name);
	setrlimit(RLIMIT_FSIZE, &none);
	return fd;
}

static bool is_pending(int signal)
{
	sigset_t set;
	sigpending(&set);
	return sigismember(&set, signal);
}

static void block(int signal)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int write_to_pipe(void)
{
	if (pa_quiet_write(closed_pipe(), "x", 1) != -1 || errno != EPIPE)
		return 1;
	return is_pending(SIGPIPE) ? 2 : 0;
}

static int write_to_file(void)
{
	if (pa_quiet_write(limited_file(), "x", 1) != -1 || errno != EFBIG)
		return 1;
	return is_pending(SIGXFSZ) ? 2 : 0;
}

static int write_while_pending(void)
{
	block(SIGPIPE);
	block(SIGXFSZ);
	raise(SIGPIPE);
	raise(SIGXFSZ);
	pa_quiet_write(closed_pipe(), "x", 1);
	pa_quiet_write(limited_file(), "x", 1);
	return is_pending(SIGPIPE) && is_pending(SIGXFSZ) ? 0 : 1;
}

static int write_and_look_at_the_mask(void)
{
	sigset_t before, after;
	sigprocmask(SIG_BLOCK, NULL, &before);
	pa_quiet_write(closed_pipe(), "x", 1);
	sigprocmask(SIG_BLOCK, NULL, &after);
	for (int i = 1; i <= SIGRTMAX; i++)
		if (sigismember(&before, i) != sigismember(&after, i))
			return 1;
	return 0;
}

static void closed_pipe_is_an_error_and_no_signal(void **unused)
{
	(void)unused;
	in_a_child(write_to_pipe);
}

static void limit_on_the_size_of_files_is_an_error_and_no_signal(void **unused)
{
	(void)unused;
	in_a_child(write_to_file);
}

static void signal_that_was_pending_before_stays_so(void **unused)
{
	(void)unused;
	in_a_child(write_while_pending);
}

static void mask_is_as_it_was(void **unused)
{
	(void)unused;
	in_a_child(write_and_look_at_the_mask);
}

static void what_can_be_written_is_written(void **unused)
{
	int ends[2];
	char got[4];
	(void)unused;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pa_quiet_write(ends[1], "abc", 3), 3);
	assert_int_equal(read(ends[0], got, sizeof(got)), 3);
	close(ends[0]);
	close(ends[1]);
}

static void *write_when_cancelled(void *fd)
{
	pthread_cancel(pthread_self());
	pa_quiet_write(*(int *)fd, "x", 1);
	return NULL;
}

static void write_is_no_cancellation_point(void **unused)
{
	int ends[2];
	pthread_t thread;
	void *result = PTHREAD_CANCELED;
	(void)unused;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pthread_create(&thread, NULL, write_when_cancelled, &ends[1]), 0);
	pthread_join(thread, &result);
	assert_null(result);
	close(ends[0]);
	close(ends[1]);
}

static void mask_of_all_leaves_out_what_a_thread_raises_itself(void **unused)
{
	static const int raised[] = { SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	sigset_t set;
	(void)unused;
	pa_quiet_fill(&set);
	for (size_t i = 0; i < PA_COUNT(raised); i++)
		assert_int_equal(sigismember(&set, raised[i]), 0);
	assert_int_equal(sigismember(&set, SIGTERM), 1);
	assert_int_equal(sigismember(&set, SIGRTMAX), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_pipe_is_an_error_and_no_signal),
		cmocka_unit_test(limit_on_the_size_of_files_is_an_error_and_no_signal),
		cmocka_unit_test(signal_that_was_pending_before_stays_so),
		cmocka_unit_test(mask_is_as_it_was),
		cmocka_unit_test(what_can_be_written_is_written),
		cmocka_unit_test(write_is_no_cancellation_point),
		cmocka_unit_test(mask_of_all_leaves_out_what_a_thread_raises_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

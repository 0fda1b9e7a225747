/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/assert.h"
#include "agent/base/lock.h"
#include "agent/base/thread_slot.h"

static struct pa_lock lock = PA_LOCK_INIT(PA_LOCK_COLLECT);
static struct pa_thread_slot_table table;
static char said[512];

static struct pa_thread_slot *find_none(void)
{
	return NULL;
}

static void fail_condition(void)
{
	PA_ASSERT(said[0] == 'x');
}

static void fail_with_the_signal_ignored(void)
{
	signal(SIGABRT, SIG_IGN);
	PA_ASSERT(said[0] == 'x');
}

static void fail_held(void)
{
	pa_lock(&lock);
	pa_unlock(&lock);
	PA_ASSERT_HELD(PA_LOCK_COLLECT);
}

static void pass_held(void)
{
	PA_ASSERT_HELD(PA_LOCK_COLLECT);
	pa_lock(&lock);
	PA_ASSERT_HELD(PA_LOCK_COLLECT);
}

static void fail_agent(void)
{
	pa_thread_slot_boot(&table, find_none);
	PA_ASSERT_AGENT();
}

static void pass_agent(void)
{
	PA_ASSERT_AGENT();
}

/* The signal that ends a child which runs that; said: what it wrote on descriptor 2. */
static int signal_of(void (*run)(void))
{
	static const struct rlimit no_core;
	int ends[2], status;
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		signal(SIGILL, SIG_DFL);
		run();
		_exit(0);
	}
	close(ends[1]);
	memset(said, 0, sizeof(said));
	for (size_t used = 0; used < sizeof(said) - 1;) {
		ssize_t count = read(ends[0], said + used, sizeof(said) - 1 - used);
		if (count <= 0)
			break;
		used += (size_t)count;
	}
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_false_condition_ends_the_process_and_says_where(void **unused)
{
	(void)unused;
	assert_int_equal(signal_of(fail_condition), SIGABRT);
	assert_non_null(strstr(said, "pprofagent: "));
	assert_non_null(strstr(said, "test_assert.c:"));
	assert_non_null(strstr(said, ": assertion failed: said[0] == 'x'\n"));
	assert_int_equal(signal_of(fail_with_the_signal_ignored), SIGILL);
}

static void locks_that_are_not_held_are_found(void **unused)
{
	(void)unused;
	assert_int_equal(signal_of(fail_held), SIGABRT);
	assert_int_equal(signal_of(pass_held), 0);
}

static void threads_that_are_not_ours_are_found(void **unused)
{
	(void)unused;
	assert_int_equal(signal_of(fail_agent), SIGABRT);
	assert_int_equal(signal_of(pass_agent), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_false_condition_ends_the_process_and_says_where),
		cmocka_unit_test(locks_that_are_not_held_are_found),
		cmocka_unit_test(threads_that_are_not_ours_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "test/lib/c/record_fixture.h"

static bool is_all_off(void)
{
	return !pa_load_relaxed(&pa_switches->booted) && !pa_load_relaxed(&pa_switches->heap) &&
		!pa_load_relaxed(&pa_switches->cpu);
}

static void everything_is_off_before_boot(void **unused)
{
	(void)unused;
	assert_true(is_all_off());
}

/* Runs in a child made by the given call; 0 when everything is off there. */
static void child_of_raw_clone_finds_everything_off(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	assert_false(is_all_off());
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (child == 0)
		syscall(SYS_exit_group, is_all_off() ? 0 : 1);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_false(is_all_off());
}

static int check_on(void *unused)
{
	(void)unused;
	return is_all_off() ? 1 : 0;
}

static void child_that_shares_our_memory_changes_nothing(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	static char stack[64 << 10] __attribute__((aligned(16)));
	const int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
	pid_t child = clone(check_on, stack + sizeof(stack), flags, NULL);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_false(is_all_off());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_off_before_boot),
		cmocka_unit_test(child_of_raw_clone_finds_everything_off),
		cmocka_unit_test(child_that_shares_our_memory_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

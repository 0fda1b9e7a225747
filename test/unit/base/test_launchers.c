/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/launchers.h"

static void shells_are_launchers_and_others_are_no_shells(void **unused)
{
	(void)unused;
	assert_true(pa_launchers_is_shell("bash") && pa_launchers_have("", "bash"));
	assert_true(pa_launchers_is_shell("busybox") && pa_launchers_have("", "busybox"));
	assert_true(!pa_launchers_is_shell("env") && pa_launchers_have("", "env"));
	assert_true(!pa_launchers_is_shell("redis-server"));
	assert_false(pa_launchers_have("", "redis-server"));
}

static void programs_that_are_named_are_none(void **unused)
{
	(void)unused;
	assert_false(pa_launchers_have("bash,redis*", "bash"));
	assert_false(pa_launchers_have("bash,redis*", "redis-server"));
	assert_true(pa_launchers_have("bash,redis*", "nginx"));
}

static void sandboxed_processes_of_browsers_have_one_thread(void **unused)
{
	(void)unused;
	char *zygote[] = { "chrome", "--no-sandbox", "--type=zygote", NULL };
	char *renderer[] = { "electron", "--type=renderer", "--lang=en", NULL };
	char *server[] = { "firefox", "-contentproc", "-parentBuildID", "1", "forkserver", NULL };
	assert_true(pa_launchers_one_thread(zygote) && pa_launchers_one_thread(renderer));
	assert_true(pa_launchers_one_thread(server));
}

static void what_only_looks_like_those_is_profiled(void **unused)
{
	(void)unused;
	char *browser[] = { "chrome", "--headless", NULL }, *none[] = { NULL };
	char *other[] = { "find", "--type=f", "--type=zygotes", "zygote", NULL };
	char *forker[] = { "prefork", "forkserver", NULL };
	char *content[] = { "firefox", "-contentproc", "1", "tab", NULL };
	assert_false(pa_launchers_one_thread(browser) || pa_launchers_one_thread(none));
	assert_false(pa_launchers_one_thread(other) || pa_launchers_one_thread(forker));
	assert_false(pa_launchers_one_thread(content));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shells_are_launchers_and_others_are_no_shells),
		cmocka_unit_test(programs_that_are_named_are_none),
		cmocka_unit_test(sandboxed_processes_of_browsers_have_one_thread),
		cmocka_unit_test(what_only_looks_like_those_is_profiled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

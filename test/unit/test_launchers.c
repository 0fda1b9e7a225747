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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shells_are_launchers_and_others_are_no_shells),
		cmocka_unit_test(programs_that_are_named_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

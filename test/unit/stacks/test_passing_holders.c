/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/stacks/passing_holders.h"

static void each_hold_is_released_once(void **unused)
{
	(void)unused;
	assert_false(pa_passing_holders_exist());
	pa_passing_holders_hold();
	pa_passing_holders_hold();
	pa_passing_holders_release();
	assert_true(pa_passing_holders_exist());
	pa_passing_holders_release();
	assert_false(pa_passing_holders_exist());
}

static void a_child_has_none(void **unused)
{
	(void)unused;
	pa_passing_holders_hold();
	pa_passing_holders_atfork_child();
	assert_false(pa_passing_holders_exist());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_hold_is_released_once),
		cmocka_unit_test(a_child_has_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

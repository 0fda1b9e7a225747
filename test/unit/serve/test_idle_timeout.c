/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "agent/base/clock.h"
#include "agent/core/core.h"
#include "agent/serve/idle_timeout.h"

struct pa_bridge *pa_core_bridge;

#define SHORT_NS 1
#define LONG_NS (3600 * PA_NS_PER_S)

static void asked_only_after_its_time(void **unused)
{
	(void)unused;
	pa_idle_timeout_begin(LONG_NS);
	int64_t left_ns = pa_idle_timeout_look();
	assert_true(left_ns > 0 && left_ns <= LONG_NS);
	assert_false(pa_idle_timeout_is_asked());
	assert_false(pa_idle_timeout_end());
	pa_idle_timeout_begin(SHORT_NS);
	assert_int_equal(pa_idle_timeout_look(), 0);
	assert_true(pa_idle_timeout_is_asked());
	assert_true(pa_idle_timeout_end());
	assert_false(pa_idle_timeout_is_asked());
}

static void never_where_it_must_not_end(void **unused)
{
	(void)unused;
	pa_idle_timeout_begin(-1);
	assert_int_equal(pa_idle_timeout_look(), -1);
	assert_false(pa_idle_timeout_is_asked());
}

static void a_connection_keeps_the_server_that_has_not_ended(void **unused)
{
	(void)unused;
	pa_idle_timeout_begin(SHORT_NS);
	assert_true(pa_idle_timeout_resume());
	pa_idle_timeout_look();
	assert_true(pa_idle_timeout_resume());
	assert_false(pa_idle_timeout_is_asked());
	assert_false(pa_idle_timeout_end());
}

static void a_connection_is_left_alone_once_it_ends(void **unused)
{
	(void)unused;
	pa_idle_timeout_begin(SHORT_NS);
	pa_idle_timeout_look();
	assert_true(pa_idle_timeout_end());
	assert_false(pa_idle_timeout_resume());
	pa_idle_timeout_look();
	assert_false(pa_idle_timeout_is_asked());
	pa_idle_timeout_begin(SHORT_NS);
	assert_true(pa_idle_timeout_resume());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked_only_after_its_time),
		cmocka_unit_test(never_where_it_must_not_end),
		cmocka_unit_test(a_connection_keeps_the_server_that_has_not_ended),
		cmocka_unit_test(a_connection_is_left_alone_once_it_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

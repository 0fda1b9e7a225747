/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/port_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <cmocka.h>

static void is_named(uint16_t port, const char *expected)
{
	char name[16];

	pa_port_name_set(port);
	prctl(PR_GET_NAME, name);
	assert_string_equal(name, expected);
	assert_int_equal(pa_port_name_parse(name), port);
}

static void any_port_fits_into_a_name(void **unused)
{
	(void)unused;
	is_named(1, "pprof:1");
	is_named(6053, "pprof:6053");
	is_named(65535, "pprof:65535");
	is_named(0, "pprofagent");
}

static void names_as_proc_shows_them_are_parsed(void **unused)
{
	(void)unused;
	assert_int_equal(pa_port_name_parse("pprof:6053\n"), 6053);
}

static void other_names_have_no_port(void **unused)
{
	static const char *const others[] = { "", "pprof", "pprof:", "pprof:\n", "pprof:0",
		"pprof:01", "pprof:65536", "pprof:123456", "pprof:-1", "pprof: 1", "pprof:1x",
		"pprof:1 ", "xpprof:1", "PPROF:1", "pprof:0x10", "pprofagent" };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(others); i++)
		assert_int_equal(pa_port_name_parse(others[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_port_fits_into_a_name),
		cmocka_unit_test(names_as_proc_shows_them_are_parsed),
		cmocka_unit_test(other_names_have_no_port),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/measure.h"

static void is_shown_as(int64_t value, const char *unit, int step, const char *text)
{
	char out[PA_MEASURE_BYTES];

	assert_string_equal(pa_measure_label(out, value, unit, step), text);
}

static void values_have_the_step_that_fits(void **unused)
{
	(void)unused;
	is_shown_as(1023, "bytes", PA_MEASURE_AUTO, "1023B");
	is_shown_as(524319, "bytes", PA_MEASURE_AUTO, "512.03kB");
	is_shown_as(-(3LL << 20), "bytes", PA_MEASURE_AUTO, "-3MB");
	is_shown_as(INT64_MAX, "bytes", PA_MEASURE_AUTO, "8192PB");
	is_shown_as(999, "nanoseconds", PA_MEASURE_AUTO, "999ns");
	is_shown_as(1500, "nanoseconds", PA_MEASURE_AUTO, "1.50us");
	is_shown_as(1500000000, "nanoseconds", PA_MEASURE_AUTO, "1.50s");
	is_shown_as(5400 * PA_NS_PER_S, "nanoseconds", PA_MEASURE_AUTO, "1.50hrs");
	is_shown_as(123456789, "count", PA_MEASURE_AUTO, "123456789");
}

static void a_chosen_step_stays(void **unused)
{
	(void)unused;
	int step = pa_measure_step(2 << 20, "bytes");
	is_shown_as(5 << 10, "bytes", step, "0"); /* 0.00 */
	is_shown_as(10 << 10, "bytes", step, "0.01MB");
	is_shown_as(-(5 << 10), "bytes", step, "0");
	is_shown_as(3LL << 30, "bytes", step, "3072MB");
	assert_int_equal(pa_measure_step(0, "bytes"), pa_measure_step(1, "bytes"));
	assert_int_equal(pa_measure_step(0, "nanoseconds"),
		pa_measure_step(PA_NS_PER_S, "nanoseconds"));
	assert_int_equal(pa_measure_step(1 << 20, "goroutine"), 0);
	is_shown_as(0, "nanoseconds", PA_MEASURE_AUTO, "0");
}

static void is_share(int64_t value, int64_t total, const char *text)
{
	char out[PA_MEASURE_BYTES];

	assert_string_equal(pa_measure_percent(out, value, total), text);
}

static void shares_have_two_digits_at_least(void **unused)
{
	(void)unused;
	is_share(9995, 10000, "  100%");
	is_share(10006, 10000, "100.06%");
	is_share(-10004, 10000, "  100%");
	is_share(1, 100, " 1.00%");
	is_share(525, -10000, " 5.25%");
	is_share(1, 131095, "0.00076%");
	is_share(1, 1000000000, "1e-07%");
	is_share(3, 600, "  0.5%");
	is_share(0, 5, "    0%");
	is_share(5, 0, "    0%");
}

static void is_pointed(const char *number, const char *wanted)
{
	char text[32];

	snprintf(text, sizeof(text), "%s", number);
	pa_measure_set_point(text);
	assert_string_equal(text, wanted);
}

static void the_point_is_a_point_in_every_locale(void **unused)
{
	(void)unused;
	is_pointed("-1,50", "-1.50");
	is_pointed(" 5\xd9\xab"
		   "25%",
		" 5.25%");
	is_pointed("1,5e-05%", "1.5e-05%");
	is_pointed("1e-05%", "1e-05%");
	is_pointed("    0%", "    0%");
	is_pointed("12", "12");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_have_the_step_that_fits),
		cmocka_unit_test(a_chosen_step_stays),
		cmocka_unit_test(shares_have_two_digits_at_least),
		cmocka_unit_test(the_point_is_a_point_in_every_locale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

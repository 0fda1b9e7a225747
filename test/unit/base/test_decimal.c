/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/decimal.h"

static void assert_digits(uint64_t number, const char *wanted)
{
	char text[PA_DECIMAL_DIGITS + 2];
	memset(text, '#', sizeof(text));
	char *end = text + sizeof(text) - 1, *first = pa_decimal_before(end, number);
	*end = '\0';
	assert_string_equal(first, wanted);
	assert_int_equal(first[-1], '#');
}

static void digits_stand_before_the_end(void **unused)
{
	(void)unused;
	assert_digits(0, "0");
	assert_digits(9, "9");
	assert_digits(10, "10");
	assert_digits(2147483647, "2147483647");
	assert_digits(UINT64_MAX, "18446744073709551615");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digits_stand_before_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

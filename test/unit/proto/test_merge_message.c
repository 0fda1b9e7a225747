/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/c/merge_fixture.h"

static void messages_that_break_a_rule_are_refused(void **unused)
{
	(void)unused;
	assert_int_equal(add_with("", 0), 0);
	assert_int_equal(ADD_WITH(BYTES(SAMPLE), 4, BYTES(2), 2, 1, 1), 0);
	assert_int_equal(ADD_WITH(0xa8, 0x06, 7), 0); /* field 101, a number */
	/* The count of values. */
	assert_int_equal(ADD_WITH(BYTES(SAMPLE), 3, BYTES(2), 1, 1), -EBADMSG);
	assert_int_equal(ADD_WITH(BYTES(SAMPLE), 0), -EBADMSG);
	/* Locations 0 and 99. */
	assert_int_equal(ADD_WITH(BYTES(SAMPLE), 7, BYTES(1), 1, 0, BYTES(2), 2, 1, 1), -EBADMSG);
	assert_int_equal(ADD_WITH(BYTES(SAMPLE), 7, BYTES(1), 1, 99, BYTES(2), 2, 1, 1), -EBADMSG);
	/* A label without a key; with one that is no text. */
	assert_int_equal(ADD_WITH(BYTES(SAMPLE), 8, BYTES(2), 2, 1, 1, BYTES(3), 2, 2 << 3, 1),
		-EBADMSG);
	assert_int_equal(ADD_WITH(BYTES(SAMPLE), 8, BYTES(2), 2, 1, 1, BYTES(3), 2, 1 << 3, 99),
		-EBADMSG);
	/* Ids: none, twice, not the next one. */
	assert_int_equal(ADD_WITH(BYTES(FUNCTION), 0), -EBADMSG);
	assert_int_equal(ADD_WITH(BYTES(FUNCTION), 2, 1 << 3, 99), -EBADMSG);
	assert_int_equal(ADD_WITH(BYTES(MAPPING), 4, 1 << 3, 4, 1 << 3, 4), -EBADMSG);
	assert_int_equal(ADD_WITH(BYTES(MAPPING), 2, 1 << 3, 4), 0);
	assert_int_equal(ADD_WITH(BYTES(MAPPING), 4, 1 << 3, 4, 5 << 3, 99), -EBADMSG);
	/* A text that is not UTF-8; with a NUL. */
	assert_int_equal(ADD_WITH(BYTES(STRING), 1, 0xff), -EBADMSG);
	assert_int_equal(ADD_WITH(BYTES(STRING), 1, 0), -EBADMSG);
	assert_int_equal(ADD_WITH(BYTES(STRING), 1, 'x'), 0);
	/* A field that ends outside of the profile; a wire type that is none. */
	assert_int_equal(ADD_WITH(BYTES(STRING), 9, 'x'), -EBADMSG);
	assert_int_equal(ADD_WITH(1 << 3 | 7, 1), -EBADMSG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(messages_that_break_a_rule_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

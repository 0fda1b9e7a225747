/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/symbols/symbols_units.h"

static struct pa_symbols_units units;

/* Units of 100 bytes with 10 bytes of abbreviations each. */
static void fill(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_true(pa_symbols_units_add(&units,
			&(struct pa_symbols_listed){
				.at = i * 100, .bytes = 100, .abbrev = (count - i) * 10 }));
}

static void add_range(uint64_t low, uint64_t high, uint64_t unit)
{
	assert_true(pa_symbols_ranges_add(&units.ranges,
		&(struct pa_symbols_range){ low, high, unit }));
}

static int forget(void **unused)
{
	(void)unused;
	pa_symbols_units_free(&units);
	return 0;
}

static void units_are_found_by_place(void **unused)
{
	(void)unused;
	fill(1000);
	assert_int_equal(pa_symbols_units_around(&units, 0)->at, 0);
	assert_int_equal(pa_symbols_units_around(&units, 555)->at, 500);
	assert_int_equal(pa_symbols_units_around(&units, 99999)->at, 99900);
	assert_null(pa_symbols_units_around(&units, 100000));
	assert_null(pa_symbols_units_around(&units, UINT64_MAX));
}

static void units_are_found_by_code(void **unused)
{
	(void)unused;
	fill(3);
	add_range(0x3000, 0x3010, 2);
	add_range(0x1000, 0x1100, 0);
	add_range(0x1100, 0x1180, 1);
	pa_symbols_units_finish(&units);
	assert_int_equal(pa_symbols_units_of_code(&units, 0x10ff)->at, 0);
	assert_int_equal(pa_symbols_units_of_code(&units, 0x1100)->at, 100);
	assert_int_equal(pa_symbols_units_of_code(&units, 0x300f)->at, 200);
	assert_null(pa_symbols_units_of_code(&units, 0x3010));
	assert_null(pa_symbols_units_of_code(&units, 0));
}

static void neighbouring_ranges_of_a_unit_become_one(void **unused)
{
	(void)unused;
	fill(2);
	for (uint64_t at = 0x1000; at < 0x9000; at += 0x20)
		add_range(at, at + 0x1c, 0);
	add_range(0x9000, 0x9010, 1);
	add_range(0x9010, 0x9020, 0);
	pa_symbols_units_finish(&units);
	assert_int_equal(units.ranges.count, 3);
	assert_int_equal(pa_symbols_units_of_code(&units, 0x5000)->at, 0);
	assert_int_equal(pa_symbols_units_of_code(&units, 0x9000)->at, 100);
	assert_int_equal(pa_symbols_units_of_code(&units, 0x9010)->at, 0);
}

static void abbreviations_end_where_the_next_ones_begin(void **unused)
{
	(void)unused;
	fill(3);
	assert_int_equal(pa_symbols_units_abbrev_end(&units, &units.at[2], 1000), 20);
	assert_int_equal(pa_symbols_units_abbrev_end(&units, &units.at[0], 1000), 1000);
}

static void another_file_is_begun_anew(void **unused)
{
	struct pa_symbols_elf one = { .bytes = 5000, .inode = 7 },
			      two = { .bytes = 5000, .inode = 8 };

	(void)unused;
	pa_symbols_units_begin(&units, &one, 400);
	fill(2);
	pa_symbols_units_begin(&units, &one, 400);
	assert_int_equal(units.count, 2);
	pa_symbols_units_begin(&units, &one, 401);
	assert_int_equal(units.count, 0);
	fill(2);
	pa_symbols_units_begin(&units, &two, 401);
	assert_int_equal(units.count, 0);
	assert_int_equal(pa_symbols_units_bytes(&units), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(units_are_found_by_place, forget),
		cmocka_unit_test_teardown(units_are_found_by_code, forget),
		cmocka_unit_test_teardown(neighbouring_ranges_of_a_unit_become_one, forget),
		cmocka_unit_test_teardown(abbreviations_end_where_the_next_ones_begin, forget),
		cmocka_unit_test_teardown(another_file_is_begun_anew, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

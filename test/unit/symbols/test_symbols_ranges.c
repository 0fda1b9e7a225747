/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/base/arena.h"
#include "agent/symbols/symbols_ranges.h"

static struct pa_symbols_ranges ranges;

static void add(uint64_t low, uint64_t high, uint64_t what)
{
	const struct pa_symbols_range range = { low, high, what };
	assert_true(pa_symbols_ranges_add(&ranges, &range));
}

static uint64_t what_at(uint64_t address)
{
	const struct pa_symbols_range *found =
		pa_symbols_ranges_find(ranges.at, ranges.count, address);
	return found ? found->what : 0;
}

static int empty(void **unused)
{
	(void)unused;
	pa_symbols_ranges_free(&ranges);
	return 0;
}

static void the_innermost_range_is_found(void **unused)
{
	(void)unused;
	assert_int_equal(what_at(5), 0);
	add(30, 40, 3);
	add(12, 14, 2);
	add(10, 20, 1);
	add(10, 11, 4);
	pa_symbols_ranges_sort(&ranges);
	const uint64_t wanted[][2] = { { 9, 0 }, { 10, 4 }, { 11, 1 }, { 12, 2 }, { 14, 1 },
		{ 19, 1 }, { 20, 0 }, { 30, 3 }, { 39, 3 }, { 40, 0 }, { UINT64_MAX, 0 } };
	for (size_t i = 0; i < PA_COUNT(wanted); i++)
		assert_int_equal(what_at(wanted[i][0]), wanted[i][1]);
}

static void a_list_that_grows_keeps_what_it_has(void **unused)
{
	(void)unused;
	for (uint64_t i = 5000; i > 0; i--)
		add(10 * i, 10 * i + 5, i);
	pa_symbols_ranges_sort(&ranges);
	for (uint64_t i = 1; i <= 5000; i++) {
		assert_int_equal(what_at(10 * i + 4), i);
		assert_int_equal(what_at(10 * i + 5), 0);
	}
}

static void there_is_a_most(void **unused)
{
	const struct pa_symbols_range range = { 1, 2, 3 };
	size_t before = pa_map_bytes();

	(void)unused;
	while (pa_symbols_ranges_add(&ranges, &range))
		assert_true(ranges.count * sizeof(range) <= PA_SYMBOLS_RANGES_BYTES);
	assert_true(ranges.count * sizeof(range) > PA_SYMBOLS_RANGES_BYTES / 2);
	pa_symbols_ranges_free(&ranges);
	assert_int_equal(pa_map_bytes(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_innermost_range_is_found, empty, empty),
		cmocka_unit_test_setup_teardown(a_list_that_grows_keeps_what_it_has, empty, empty),
		cmocka_unit_test_setup_teardown(there_is_a_most, empty, empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/base/arena.h"
#include "agent/base/hash_table.h"
#include "agent/base/pair_map.h"

static struct pa_pair_map map;

static int empty(void **unused)
{
	(void)unused;
	memset(&map, 0, sizeof(map));
	return 0;
}

static void assert_has(uint32_t group, uintptr_t value, uint32_t number)
{
	uint32_t *found = pa_pair_map_find(&map, group, value);
	assert_non_null(found);
	assert_int_equal(*found, number);
}

static void empty_map_has_nothing(void **unused)
{
	uint32_t number = 7, counts[1] = { 0 };
	(void)unused;
	assert_null(pa_pair_map_find(&map, 0, 0));
	assert_false(pa_pair_map_take(&map, 0, 0, &number));
	assert_int_equal(number, 7);
	pa_pair_map_count(&map, counts, 1);
	assert_int_equal(counts[0], 0);
	assert_int_equal(pa_pair_map_bytes(&map), 0);
}

static void any_value_can_be_in_any_group(void **unused)
{
	const uintptr_t values[] = { 0, 1, UINTPTR_MAX, (uintptr_t)1 << 63, (uintptr_t)&map };
	const uint32_t groups[] = { 0, 1, 63, UINT32_MAX - 1 };
	(void)unused;
	for (uint32_t g = 0; g < PA_COUNT(groups); g++)
		for (uint32_t v = 0; v < PA_COUNT(values); v++)
			pa_pair_map_put(&map, groups[g], values[v], g * 10 + v);
	assert_int_equal(pa_pair_map_used(&map), PA_COUNT(groups) * PA_COUNT(values));
	for (uint32_t g = 0; g < PA_COUNT(groups); g++)
		for (uint32_t v = 0; v < PA_COUNT(values); v++)
			assert_has(groups[g], values[v], g * 10 + v);
}

static void pair_that_is_there_keeps_its_number(void **unused)
{
	(void)unused;
	pa_pair_map_put(&map, 1, 5, 3);
	assert_int_equal(*pa_pair_map_put(&map, 1, 5, 4), 3);
	assert_int_equal(pa_pair_map_used(&map), 1);
}

static void taken_pair_is_gone_and_others_stay(void **unused)
{
	uint32_t number;
	(void)unused;
	pa_pair_map_put(&map, 1, 5, 3);
	pa_pair_map_put(&map, 2, 5, 4);
	assert_true(pa_pair_map_take(&map, 1, 5, &number));
	assert_int_equal(number, 3);
	assert_null(pa_pair_map_find(&map, 1, 5));
	assert_has(2, 5, 4);
	assert_false(pa_pair_map_take(&map, 1, 5, NULL));
	assert_int_equal(pa_pair_map_used(&map), 1);
}

/* Against a table of flags: chains that wrap, gaps that close, maps that grow. */
static void long_random_history_is_that_of_a_set(void **unused)
{
	enum { VALUES = 3000, GROUPS = 3, STEPS = 400000 };
	static uint32_t expected[GROUPS][VALUES]; /* number, 0: not in */
	uint32_t in = 0, random = 12345;
	(void)unused;
	for (uint32_t step = 1; step <= STEPS; step++) {
		random = random * 1664525 + 1013904223;
		uint32_t group = random >> 10 & 1 ? 2 : 0, value = (random >> 11) % VALUES;
		uint32_t *known = &expected[group][value], number = 0;
		/* Many puts first, then many takes. */
		bool put = (random >> 24 & 7) < (step < STEPS / 2 ? 6 : 2);
		if (put) {
			in += !*known;
			*known = *known ? *known : step;
			assert_int_equal(*pa_pair_map_put(&map, group, value, step), *known);
		} else {
			assert_int_equal(pa_pair_map_take(&map, group, value, &number),
				*known != 0);
			assert_int_equal(number, *known);
			in -= *known != 0;
			*known = 0;
		}
		assert_int_equal(pa_pair_map_used(&map), in);
	}
	uint32_t counts[GROUPS] = { 0 }, sum = 0;
	for (uint32_t group = 0; group < GROUPS; group++) {
		for (uint32_t value = 0; value < VALUES; value++) {
			uint32_t *found = pa_pair_map_find(&map, group, value);
			assert_int_equal(found ? *found : 0, expected[group][value]);
			sum += found != NULL;
		}
	}
	pa_pair_map_count(&map, counts, GROUPS);
	assert_int_equal(sum, in);
	assert_int_equal(counts[0] + counts[2], in);
	assert_int_equal(counts[1], 0);
}

static void growing_gives_the_old_memory_back(void **unused)
{
	size_t before = pa_map_bytes();
	(void)unused;
	for (uint32_t i = 0; i < 100000; i++)
		assert_non_null(pa_pair_map_put(&map, 0, i, i));
	assert_int_equal(pa_map_bytes() - before, pa_pair_map_bytes(&map));
	/* More than half full at any size. */
	assert_true(pa_pair_map_bytes(&map) < 100000 * 16 * 3);
}

static void freed_map_is_empty_and_can_be_filled_again(void **unused)
{
	size_t before = pa_map_bytes();
	(void)unused;
	pa_pair_map_free(&map);
	assert_int_equal(pa_map_bytes(), before);
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 1000; i++)
			pa_pair_map_put(&map, 1, i, i);
		assert_true(pa_map_bytes() > before);
		pa_pair_map_free(&map);
		assert_int_equal(pa_map_bytes(), before);
		assert_int_equal(pa_pair_map_used(&map), 0);
		assert_null(pa_pair_map_find(&map, 1, 5));
	}
}

static void mended_map_has_each_pair_once(void **unused)
{
	(void)unused;
	for (uint32_t i = 0; i < 1000; i++)
		pa_pair_map_put(&map, i % 2, i, i);
	((struct pa_hash_table *)pa_load_relaxed(&map.table))->used = 77; /* not written yet */
	pa_pair_map_mend(&map);
	assert_int_equal(pa_pair_map_used(&map), 1000);
	for (uint32_t i = 0; i < 1000; i++)
		assert_has(i % 2, i, i);
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(pa_pair_map_take(&map, i % 2, i, NULL));
	assert_int_equal(pa_pair_map_used(&map), 0);
	memset(&map, 0, sizeof(map));
	pa_pair_map_mend(&map);
	assert_null(pa_pair_map_find(&map, 0, 0));
}

/* As a gap is being closed: what moved stands twice, and behind a hole. */
static void mended_map_forgets_what_stood_twice(void **unused)
{
	uint32_t seen = 0, last = 0;
	uintptr_t second = 0;
	struct place {
		uintptr_t value;
		uint32_t number, group;
	} * places;
	(void)unused;
	for (uintptr_t value = 0; value < 60; value++)
		pa_pair_map_put(&map, 0, value, (uint32_t)value);
	places = (struct place *)((char *)pa_load_relaxed(&map.table) + 16);
	for (uint32_t i = 0; i < 128 && seen < 2; i++) {
		if (places[i].group && ++seen == 2)
			second = places[i].value;
		last = places[i].group ? last : i; /* free */
	}
	for (uint32_t i = 127; i > 0; i--)
		last = places[i].group ? last : i;
	places[last] = (struct place){ second, (uint32_t)second, 1 };
	pa_pair_map_mend(&map);
	assert_int_equal(pa_pair_map_used(&map), 60);
	assert_true(pa_pair_map_take(&map, 0, second, NULL));
	assert_null(pa_pair_map_find(&map, 0, second));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty_map_has_nothing, empty),
		cmocka_unit_test_setup(any_value_can_be_in_any_group, empty),
		cmocka_unit_test_setup(pair_that_is_there_keeps_its_number, empty),
		cmocka_unit_test_setup(taken_pair_is_gone_and_others_stay, empty),
		cmocka_unit_test_setup(long_random_history_is_that_of_a_set, empty),
		cmocka_unit_test_setup(growing_gives_the_old_memory_back, empty),
		cmocka_unit_test_setup(freed_map_is_empty_and_can_be_filled_again, empty),
		cmocka_unit_test_setup(mended_map_has_each_pair_once, empty),
		cmocka_unit_test_setup(mended_map_forgets_what_stood_twice, empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

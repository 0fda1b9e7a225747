/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/profile/bucket_table.h"

static struct pa_stack stacks[200];
static struct pa_bucket_table table;

static int fresh(void **unused)
{
	(void)unused;
	pa_bucket_table_free(&table);
	table.max = PA_BUCKET_TABLE_LIMIT;
	return 0;
}

static void records_keep_their_index_in_order_of_appearance(void **unused)
{
	(void)unused;
	assert_int_equal(pa_bucket_table_find(&table, &stacks[0], 7), PA_BUCKET_TABLE_NONE);
	assert_int_equal(pa_bucket_table_index(&table, &stacks[0], 7), 0);
	assert_int_equal(pa_bucket_table_index(&table, &stacks[1], 7), 1);
	assert_int_equal(pa_bucket_table_index(&table, &stacks[0], 8), 2);
	assert_int_equal(pa_bucket_table_index(&table, &stacks[0], 7), 0);
	assert_int_equal(table.count, 3);
	assert_ptr_equal(pa_bucket_table_at(&table, 1)->stack, &stacks[1]);
	assert_int_equal(pa_bucket_table_at(&table, 2)->key, 8);
	assert_int_equal(pa_bucket_table_at(&table, 2)->count, 0);
	assert_true(pa_bucket_table_at(&table, 2)->weight == 0);
}

/* Keys that are equal in all but the stack meet in one chain sooner or later. */
static void growing_keeps_every_record_and_its_counts(void **unused)
{
	enum { KEYS = 300 };
	(void)unused;
	for (uint32_t i = 0; i < PA_COUNT(stacks) * KEYS; i++) {
		uint32_t index = pa_bucket_table_index(&table, &stacks[i / KEYS], i % KEYS);
		assert_int_equal(index, i);
		pa_bucket_table_at(&table, index)->count = i;
	}
	for (uint32_t i = 0; i < PA_COUNT(stacks) * KEYS; i++) {
		assert_int_equal(pa_bucket_table_index(&table, &stacks[i / KEYS], i % KEYS), i);
		assert_int_equal(pa_bucket_table_at(&table, i)->count, i);
	}
}

static void a_full_table_finds_what_it_has_and_adds_nothing(void **unused)
{
	(void)unused;
	table.max = 5000;
	for (uint64_t key = 0; key < 5000; key++)
		assert_int_equal(pa_bucket_table_index(&table, &stacks[0], key), key);
	assert_int_equal(pa_bucket_table_index(&table, &stacks[0], 5000), PA_BUCKET_TABLE_NONE);
	assert_int_equal(pa_bucket_table_index(&table, &stacks[0], 4321), 4321);
	assert_int_equal(table.count, 5000);
}

static void the_limit_of_the_chunks_holds_too(void **unused)
{
	(void)unused;
	table.max = UINT32_MAX;
	for (uint64_t key = 0; key < PA_BUCKET_TABLE_LIMIT; key++)
		assert_int_not_equal(pa_bucket_table_index(&table, &stacks[0], key),
			PA_BUCKET_TABLE_NONE);
	assert_int_equal(pa_bucket_table_index(&table, &stacks[0], PA_BUCKET_TABLE_LIMIT),
		PA_BUCKET_TABLE_NONE);
}

static void freeing_gives_the_memory_back_and_keeps_the_limit(void **unused)
{
	(void)unused;
	table.max = 5000;
	for (uint64_t key = 0; key < 5000; key++)
		pa_bucket_table_index(&table, &stacks[0], key);
	assert_true(table.bytes >= 5000 * sizeof(struct pa_bucket));
	pa_bucket_table_free(&table);
	assert_int_equal(table.bytes, 0);
	assert_int_equal(table.count, 0);
	assert_int_equal(table.max, 5000);
	assert_int_equal(pa_bucket_table_index(&table, &stacks[0], 99), 0);
}

static void sums_stay_at_the_largest_value(void **unused)
{
	(void)unused;
	assert_int_equal(pa_bucket_table_plus(40, 2), 42);
	assert_true(pa_bucket_table_plus(UINT64_MAX - 1, 1) == UINT64_MAX);
	assert_true(pa_bucket_table_plus(UINT64_MAX - 1, 2) == UINT64_MAX);
}

static void products_stay_at_the_largest_value(void **unused)
{
	(void)unused;
	assert_int_equal(pa_bucket_table_times(6, 7), 42);
	assert_true(pa_bucket_table_times(UINT64_MAX, 1) == INT64_MAX);
	assert_true(pa_bucket_table_times((uint64_t)1 << 40, (uint64_t)1 << 40) == INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(records_keep_their_index_in_order_of_appearance, fresh),
		cmocka_unit_test_setup(growing_keeps_every_record_and_its_counts, fresh),
		cmocka_unit_test_setup(a_full_table_finds_what_it_has_and_adds_nothing, fresh),
		cmocka_unit_test_setup(the_limit_of_the_chunks_holds_too, fresh),
		cmocka_unit_test_setup(freeing_gives_the_memory_back_and_keeps_the_limit, fresh),
		cmocka_unit_test_setup(sums_stay_at_the_largest_value, fresh),
		cmocka_unit_test_setup(products_stay_at_the_largest_value, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

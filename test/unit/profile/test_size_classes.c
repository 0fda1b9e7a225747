/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/profile/size_classes.h"

enum { MAX = 64 * 1024, STACKS = 200 };
static struct pa_stack stacks[STACKS];
static struct pa_bucket_table table;

static int fresh(void **unused)
{
	(void)unused;
	pa_bucket_table_free(&table);
	table.max = MAX;
	return 0;
}

static struct pa_bucket *count_object(const struct pa_stack *stack, uint64_t size)
{
	uint32_t index = pa_size_classes_count(&table, stack, size);
	assert_int_not_equal(index, PA_BUCKET_TABLE_NONE);
	return pa_bucket_table_at(&table, index);
}

/* Until so many sixteenths of the table are in use: by sizes that differ in their stacks' first. */
static void fill_table(uint32_t sixteenths)
{
	for (uint64_t size = 1; table.count < table.max / 16 * sixteenths; size++)
		pa_bucket_table_index(&table, &stacks[0], size);
}

static void assert_values(const struct pa_bucket *bucket, int64_t objects, int64_t bytes,
	int64_t in_use, int64_t in_use_bytes)
{
	int64_t values[4];
	pa_size_classes_values(bucket, values);
	assert_int_equal(values[0], objects);
	assert_int_equal(values[1], bytes);
	assert_int_equal(values[2], in_use);
	assert_int_equal(values[3], in_use_bytes);
}

static void sizes_are_exact_while_there_is_room(void **unused)
{
	(void)unused;
	assert_false(pa_size_classes_used(&table));
	struct pa_bucket *bucket = count_object(&stacks[0], 1001);
	assert_ptr_equal(count_object(&stacks[0], 1001), bucket);
	assert_ptr_not_equal(count_object(&stacks[0], 1002), bucket);
	bucket->in_use = 1;
	assert_int_equal(pa_size_classes_size(bucket), 1001);
	assert_values(bucket, 2, 2002, 1, 1001);
}

static void new_sizes_share_classes_when_half_is_full(void **unused)
{
	(void)unused;
	struct pa_bucket *known = count_object(&stacks[1], 1000);
	fill_table(8);
	assert_true(pa_size_classes_used(&table));
	assert_ptr_equal(count_object(&stacks[1], 1000), known);
	struct pa_bucket *bucket = count_object(&stacks[1], 961);
	assert_ptr_equal(count_object(&stacks[1], 1024), bucket);
	assert_ptr_equal(count_object(&stacks[1], 1023), bucket);
	assert_ptr_not_equal(count_object(&stacks[1], 960), bucket);
	assert_ptr_not_equal(count_object(&stacks[1], 1025), bucket);
	assert_ptr_not_equal(count_object(&stacks[2], 1024), bucket);
	assert_int_equal(pa_size_classes_size(bucket), 1024);
	assert_true(pa_size_classes_is_class(bucket));
	assert_false(pa_size_classes_is_class(known));
	bucket->in_use = 3;
	assert_values(bucket, 3, 961 + 1024 + 1023, 3, 961 + 1024 + 1023);
	bucket->in_use = 1;
	assert_values(bucket, 3, 961 + 1024 + 1023, 1, (961 + 1024 + 1023) / 3);
	assert_values(known, 2, 2000, 0, 0);
}

/* Size, and its class at 1/2, 3/4 and 15/16 of the table. */
static void classes_are_wider_where_less_room_is_left(void **unused)
{
	static const uint64_t sizes[][4] = {
		{ 0, 0, 0, 0 },
		{ 1, 1, 1, 1 },
		{ 7, 7, 8, 8 },
		{ 17, 18, 24, 32 },
		{ 513, 576, 768, 1024 },
		{ 1 << 20, 1 << 20, 1 << 20, 1 << 20 },
		{ (1 << 20) + 1, 9 << 17, 3 << 19, 1 << 21 },
	};
	static const uint32_t fills[] = { 8, 12, 15 };
	(void)unused;
	for (uint32_t fill = 0; fill < 3; fill++) {
		fill_table(fills[fill]);
		for (uint32_t i = 0; i < PA_COUNT(sizes); i++)
			assert_int_equal(pa_size_classes_size(count_object(&stacks[1 + i],
						 sizes[i][0])),
				sizes[i][fill + 1]);
	}
}

/* Each stack with blocks of all sizes up to 16 MiB. */
static void many_stacks_of_many_sizes_fit(void **unused)
{
	uint64_t seed = 88172645463325252u, bytes = 0, counted = 0;
	(void)unused;
	for (uint32_t i = 0; i < 1000000; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		uint64_t size = (seed >> 40) >> (seed & 15);
		bytes += size;
		count_object(&stacks[(seed >> 8) % STACKS], size);
	}
	for (uint32_t i = 0; i < table.count; i++) {
		int64_t values[4];
		pa_size_classes_values(pa_bucket_table_at(&table, i), values);
		counted += (uint64_t)values[1];
	}
	assert_int_equal(counted, bytes);
	assert_true(table.count < table.max);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sizes_are_exact_while_there_is_room, fresh),
		cmocka_unit_test_setup(new_sizes_share_classes_when_half_is_full, fresh),
		cmocka_unit_test_setup(classes_are_wider_where_less_room_is_left, fresh),
		cmocka_unit_test_setup(many_stacks_of_many_sizes_fit, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

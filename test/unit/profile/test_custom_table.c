/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/profile/custom_table.h"

static struct pa_stack stacks[PA_CUSTOM_TABLE_RECORDS + 2], overflow;

const struct pa_stack *pa_stack_table_overflow(void)
{
	return &overflow;
}

static int empty(void **unused)
{
	(void)unused;
	pa_custom_profile.atfork_child(&pa_custom_profile, false);
	return 0;
}

static void assert_count(uint32_t id, const struct pa_stack *stack, int64_t values)
{
	size_t room = pa_custom_table_count(id);
	struct pa_sample *samples = calloc(room + 1, sizeof(*samples));
	int64_t found = 0;
	size_t count = pa_custom_table_samples(id, samples);
	assert_int_equal(count, room);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(samples[i].bytes_label, -1);
		assert_int_equal(samples[i].tid, 0);
		assert_null(samples[i].thread);
		if (samples[i].stack != stack)
			continue;
		assert_int_equal(found, 0);
		found = samples[i].values[0];
	}
	assert_int_equal(found, values);
	free(samples);
}

static void values_are_counted_by_stack_and_profile(void **unused)
{
	(void)unused;
	pa_custom_table_add_locked(0, 1, &stacks[0]);
	pa_custom_table_add_locked(0, 2, &stacks[0]);
	pa_custom_table_add_locked(0, 3, &stacks[1]);
	pa_custom_table_add_locked(1, 1, &stacks[0]);
	assert_count(0, &stacks[0], 2);
	assert_count(0, &stacks[1], 1);
	assert_count(1, &stacks[0], 1);
	assert_count(1, &stacks[1], 0);
	assert_count(2, &stacks[0], 0);
	assert_int_equal(pa_custom_table_stats().values, 4);
}

static void removed_value_leaves_its_stack(void **unused)
{
	(void)unused;
	pa_custom_table_add_locked(0, 0, &stacks[0]);
	pa_custom_table_add_locked(0, 2, &stacks[0]);
	pa_custom_table_add_locked(1, 0, &stacks[0]);
	pa_custom_table_remove_locked(0, 0);
	assert_count(0, &stacks[0], 1);
	assert_count(1, &stacks[0], 1);
	pa_custom_table_remove_locked(0, 2);
	assert_int_equal(pa_custom_table_count(0), 0);
	assert_int_equal(pa_custom_table_stats().values, 1);
}

static void value_that_is_not_there_is_not_removed(void **unused)
{
	(void)unused;
	pa_custom_table_remove_locked(0, 5);
	pa_custom_table_add_locked(0, 6, &stacks[0]);
	pa_custom_table_remove_locked(0, 5);
	pa_custom_table_remove_locked(1, 6);
	assert_count(0, &stacks[0], 1);
	assert_int_equal(pa_custom_table_stats().dropped, 0);
}

/* The event of its removal was lost. */
static void value_that_comes_again_has_the_new_stack(void **unused)
{
	(void)unused;
	pa_custom_table_add_locked(0, 5, &stacks[0]);
	pa_custom_table_add_locked(0, 5, &stacks[1]);
	assert_count(0, &stacks[0], 0);
	assert_count(0, &stacks[1], 1);
	assert_int_equal(pa_custom_table_stats().values, 1);
}

static void values_without_room_count_at_the_overflow(void **unused)
{
	(void)unused;
	for (uint32_t i = 0; i < PA_CUSTOM_TABLE_RECORDS; i++)
		pa_custom_table_add_locked(3, i, &stacks[i]);
	assert_int_equal(pa_custom_table_count(3), PA_CUSTOM_TABLE_RECORDS);
	pa_custom_table_add_locked(3, PA_CUSTOM_TABLE_RECORDS, &stacks[PA_CUSTOM_TABLE_RECORDS]);
	pa_custom_table_add_locked(3, PA_CUSTOM_TABLE_RECORDS + 1,
		&stacks[PA_CUSTOM_TABLE_RECORDS + 1]);
	pa_custom_table_add_locked(3, PA_CUSTOM_TABLE_RECORDS + 2,
		&stacks[7]); /* a stack that has a record */
	assert_count(3, &overflow, 2);
	assert_count(3, &stacks[7], 2);
	assert_int_equal(pa_custom_table_stats().dropped, 2);
	pa_custom_table_remove_locked(3, PA_CUSTOM_TABLE_RECORDS);
	assert_count(3, &overflow, 1);
	pa_custom_table_remove_locked(3, PA_CUSTOM_TABLE_RECORDS + 1);
	assert_count(3, &overflow, 0);
	pa_custom_table_remove_locked(3, PA_CUSTOM_TABLE_RECORDS + 5);
	assert_count(3, &overflow, 0);
	assert_int_equal(pa_custom_table_stats().values, PA_CUSTOM_TABLE_RECORDS + 1);
}

static void abandoned_tables_are_empty_and_usable(void **unused)
{
	(void)unused;
	pa_custom_table_add_locked(0, 1, &stacks[0]);
	pa_custom_profile.atfork_child(&pa_custom_profile, false);
	assert_int_equal(pa_custom_table_count(0), 0);
	assert_int_equal(pa_custom_table_stats().table_bytes, 0);
	pa_custom_table_remove_locked(0, 1);
	pa_custom_table_add_locked(0, 1, &stacks[0]);
	assert_count(0, &stacks[0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(values_are_counted_by_stack_and_profile, empty),
		cmocka_unit_test_setup(removed_value_leaves_its_stack, empty),
		cmocka_unit_test_setup(value_that_is_not_there_is_not_removed, empty),
		cmocka_unit_test_setup(value_that_comes_again_has_the_new_stack, empty),
		cmocka_unit_test_setup(values_without_room_count_at_the_overflow, empty),
		cmocka_unit_test_setup(abandoned_tables_are_empty_and_usable, empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

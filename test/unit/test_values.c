#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/profile/values.h"

static struct pa_stack stacks[PA_VALUES_RECORDS + 2], overflow;

const struct pa_stack *pa_sites_overflow(void)
{
	return &overflow;
}

static int empty(void **unused)
{
	(void)unused;
	pa_values_abandon();
	return 0;
}

static void assert_count(uint32_t id, const struct pa_stack *stack, int64_t values)
{
	size_t room = pa_values_count(id);
	struct pa_sample *samples = calloc(room + 1, sizeof(*samples));
	int64_t found = 0;
	size_t count = pa_values_samples(id, samples);
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
	pa_values_add(0, 1, &stacks[0]);
	pa_values_add(0, 2, &stacks[0]);
	pa_values_add(0, 3, &stacks[1]);
	pa_values_add(1, 1, &stacks[0]);
	assert_count(0, &stacks[0], 2);
	assert_count(0, &stacks[1], 1);
	assert_count(1, &stacks[0], 1);
	assert_count(1, &stacks[1], 0);
	assert_count(2, &stacks[0], 0);
	assert_int_equal(pa_values_stats().values, 4);
}

static void removed_value_leaves_its_stack(void **unused)
{
	(void)unused;
	pa_values_add(0, 0, &stacks[0]);
	pa_values_add(0, 2, &stacks[0]);
	pa_values_add(1, 0, &stacks[0]);
	pa_values_remove(0, 0);
	assert_count(0, &stacks[0], 1);
	assert_count(1, &stacks[0], 1);
	pa_values_remove(0, 2);
	assert_int_equal(pa_values_count(0), 0);
	assert_int_equal(pa_values_stats().values, 1);
}

static void value_that_is_not_there_is_not_removed(void **unused)
{
	(void)unused;
	pa_values_remove(0, 5);
	pa_values_add(0, 6, &stacks[0]);
	pa_values_remove(0, 5);
	pa_values_remove(1, 6);
	assert_count(0, &stacks[0], 1);
	assert_int_equal(pa_values_stats().dropped, 0);
}

/* The event of its removal was lost. */
static void value_that_comes_again_has_the_new_stack(void **unused)
{
	(void)unused;
	pa_values_add(0, 5, &stacks[0]);
	pa_values_add(0, 5, &stacks[1]);
	assert_count(0, &stacks[0], 0);
	assert_count(0, &stacks[1], 1);
	assert_int_equal(pa_values_stats().values, 1);
}

static void values_without_room_count_at_the_overflow(void **unused)
{
	(void)unused;
	for (uint32_t i = 0; i < PA_VALUES_RECORDS; i++)
		pa_values_add(3, i, &stacks[i]);
	assert_int_equal(pa_values_count(3), PA_VALUES_RECORDS);
	pa_values_add(3, PA_VALUES_RECORDS, &stacks[PA_VALUES_RECORDS]);
	pa_values_add(3, PA_VALUES_RECORDS + 1, &stacks[PA_VALUES_RECORDS + 1]);
	pa_values_add(3, PA_VALUES_RECORDS + 2, &stacks[7]); /* a stack that has a record */
	assert_count(3, &overflow, 2);
	assert_count(3, &stacks[7], 2);
	assert_int_equal(pa_values_stats().dropped, 2);
	pa_values_remove(3, PA_VALUES_RECORDS);
	assert_count(3, &overflow, 1);
	pa_values_remove(3, PA_VALUES_RECORDS + 1);
	assert_count(3, &overflow, 0);
	pa_values_remove(3, PA_VALUES_RECORDS + 5);
	assert_count(3, &overflow, 0);
	assert_int_equal(pa_values_stats().values, PA_VALUES_RECORDS + 1);
}

static void abandoned_tables_are_empty_and_usable(void **unused)
{
	(void)unused;
	pa_values_add(0, 1, &stacks[0]);
	pa_values_abandon();
	assert_int_equal(pa_values_count(0), 0);
	assert_int_equal(pa_values_stats().table_bytes, 0);
	pa_values_remove(0, 1);
	pa_values_add(0, 1, &stacks[0]);
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

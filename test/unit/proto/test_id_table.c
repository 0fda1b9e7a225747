/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/kept_pages.h"
#include "proto/id_table.h"
#include "proto/scratch.h"

#include <errno.h>

#include "test/lib/c/fake_program.h"

#define DEPTH 10000

static struct pa_id_table numbering;
static union {
	struct pa_stack stack;
	char room[sizeof(struct pa_stack) + DEPTH * sizeof(uint32_t)];
} big;

static int setup(void **unused)
{
	(void)unused;
	pa_kept_pages_trim();
	memset(&kernel, 0, sizeof(kernel));
	memset(&big, 0, sizeof(big));
	assert_int_equal(pa_id_table_init(&numbering), 0);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	pa_id_table_free(&numbering);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
	return 0;
}

static void locations_are_numbered_in_order_of_use(void **unused)
{
	(void)unused;
	big.stack.depth = 4;
	memcpy(big.stack.locs, ((uint32_t[]){ LOC_TWO, LOC_MAIN, LOC_TWO, LOC_USED }), 16);
	assert_int_equal(pa_id_table_stack(&numbering, &big.stack), 0);
	assert_int_equal(pa_id_table_stack(&numbering, &big.stack), 0);
	assert_int_equal(numbering.loc_count, 3);
	assert_int_equal(pa_id_table_ids(&numbering)[LOC_TWO], 1);
	assert_int_equal(pa_id_table_ids(&numbering)[LOC_MAIN], 2);
	assert_int_equal(pa_id_table_ids(&numbering)[LOC_USED], 3);
	assert_ptr_equal(pa_id_table_loc(&numbering, 3), pa_stack_table_loc(LOC_USED));
}

static void location_ids_beyond_the_count_are_taken_too(void **unused)
{
	(void)unused;
	big.stack.depth = DEPTH;
	for (uint32_t i = 0; i < DEPTH; i++)
		big.stack.locs[i] = 3 * DEPTH - i;
	assert_int_equal(pa_id_table_stack(&numbering, &big.stack), 0);
	assert_int_equal(numbering.loc_count, DEPTH);
	for (uint32_t i = 0; i < DEPTH; i++)
		assert_int_equal(pa_id_table_ids(&numbering)[3 * DEPTH - i], i + 1);
}

static void marks_are_ids_until_the_end(void **unused)
{
	(void)unused;
	assert_int_equal(pa_id_table_function(&numbering, &fn_in), 0);
	assert_int_equal(pa_id_table_function(&numbering, &fn_main), 0);
	assert_int_equal(pa_id_table_function(&numbering, &fn_in), 0);
	assert_int_equal(fn_in.mark, 1);
	assert_int_equal(fn_main.mark, 2);
	assert_ptr_equal(pa_id_table_get(&numbering, 2), &fn_main);
	pa_id_table_free(&numbering);
	assert_int_equal(fn_in.mark | fn_main.mark, 0);
}

static void missing_memory_marks_nothing(void **unused)
{
	(void)unused;
	kernel.fail_at = kernel.calls + 1;
	assert_int_equal(pa_id_table_function(&numbering, &fn_in), -ENOMEM);
	assert_int_equal(fn_in.mark, 0);
	big.stack.depth = 1;
	kernel.fail_at = kernel.calls + 1;
	assert_int_equal(pa_id_table_stack(&numbering, &big.stack), -ENOMEM);
	assert_int_equal(numbering.loc_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(locations_are_numbered_in_order_of_use, setup,
			teardown),
		cmocka_unit_test_setup_teardown(location_ids_beyond_the_count_are_taken_too, setup,
			teardown),
		cmocka_unit_test_setup_teardown(marks_are_ids_until_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_memory_marks_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/stacks/passing_holders.h"
#include "agent/stacks/passing_stacks.h"
#include "test/lib/c/stacks_fixture.h"

#define MAX_BYTES ((size_t)2 << 20)
#define DEPTH 4

static int fresh(void **unused)
{
	(void)unused;
	begin_with_empty_table(MAX_BYTES);
	pa_passing_stacks_atfork_child(true);
	pa_passing_stacks_drop_locked();
	return 0;
}

/* The digits of the number are the callers: few locations. */
static void make_pcs(uint32_t number, uintptr_t pcs[DEPTH])
{
	for (uintptr_t i = 0; i < DEPTH; i++)
		pcs[i] = TEXT + 0x1000 * i + (number >> (6 * i) & 63) * 16 + 5;
}

static const struct pa_stack *passing(uint32_t number)
{
	uintptr_t pcs[DEPTH];

	make_pcs(number, pcs);
	return pa_passing_stacks_intern_locked(pcs, DEPTH, true, PA_PSEUDO_NONE);
}

static const struct pa_stack *lasting(uint32_t number)
{
	uintptr_t pcs[DEPTH];

	make_pcs(number, pcs);
	return pa_stack_table_intern_locked(pcs, DEPTH, true, PA_PSEUDO_NONE);
}

static uint32_t count(void)
{
	return pa_passing_stacks_stats().stacks;
}

static void equal_stacks_are_one_and_not_in_the_table(void **unused)
{
	const struct pa_stack *stack = passing(1);
	uint32_t others = pa_stack_table_stats().stacks;

	(void)unused;
	assert_ptr_equal(passing(1), stack);
	assert_ptr_not_equal(passing(2), stack);
	assert_true(passing(2)->id != stack->id);
	assert_int_equal(stack->depth, DEPTH);
	assert_int_equal(pa_stack_table_loc(stack->locs[0])->raw_pc, TEXT + 16 + 5);
	assert_int_equal(count(), 2);
	assert_int_equal(pa_stack_table_stats().stacks, others);
}

static void a_stack_of_the_table_is_used(void **unused)
{
	const struct pa_stack *stack = lasting(1);

	(void)unused;
	assert_ptr_equal(passing(1), stack);
	assert_int_equal(count(), 0);
}

/* A stack that was passing may be needed for longer by another event. */
static void the_table_has_its_own(void **unused)
{
	const struct pa_stack *stack = passing(1);

	(void)unused;
	assert_ptr_not_equal(lasting(1), stack);
	pa_passing_stacks_drop_locked();
	assert_ptr_equal(passing(1), lasting(1));
}

static void all_are_dropped_when_nothing_holds_them(void **unused)
{
	const struct pa_stack *stack;

	(void)unused;
	stack = passing(1);
	pa_passing_holders_hold();
	pa_passing_stacks_drop_locked();
	assert_ptr_equal(passing(1), stack);
	pa_passing_holders_hold();
	pa_passing_holders_release();
	pa_passing_stacks_drop_locked();
	assert_int_equal(count(), 1);
	pa_passing_holders_release();
	pa_passing_stacks_drop_locked();
	assert_int_equal(count(), 0);
	assert_int_equal(pa_passing_stacks_stats().bytes, 0);
}

static void what_has_no_room_goes_into_the_table(void **unused)
{
	uint32_t others = pa_stack_table_stats().stacks, i = 0;

	(void)unused;
	while (pa_stack_table_stats().stacks == others && i < 100000)
		passing(i++);
	assert_in_range(i, 20000, 50000);
	assert_ptr_equal(passing(i - 1), lasting(i - 1));
	assert_int_equal(count(), i - 1);
}

/* The table would be full. */
static void ever_new_stacks_need_no_more_memory(void **unused)
{
	(void)unused;
	for (uint32_t i = 0; i < 1000000; i++) {
		if (i % 10000 == 0)
			pa_passing_stacks_drop_locked();
		assert_ptr_not_equal(passing(i), pa_stack_table_overflow());
	}
	assert_int_equal(pa_stack_table_stats().stacks, 1); /* the overflow */
	assert_int_equal(pa_stack_table_stats().overflowed, 0);
}

static void deep_stacks_and_tails_are_as_in_the_table(void **unused)
{
	static uintptr_t pcs[PA_STACK_TABLE_DEPTH + 1];
	const struct pa_stack *stack;

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(pcs); i++)
		pcs[i] = TEXT + 0x100 * i;
	stack = pa_passing_stacks_intern_locked(pcs, PA_COUNT(pcs), false, PA_PSEUDO_NONE);
	assert_int_equal(stack->depth, PA_STACK_TABLE_DEPTH + 1);
	stack = pa_passing_stacks_intern_locked(pcs, 2, true, PA_PSEUDO_BROKEN);
	assert_int_equal(stack->depth, 3);
	assert_int_equal(pa_stack_table_loc(stack->locs[2])->pc, PA_PSEUDO_BROKEN);
}

static void a_child_has_no_holders(void **unused)
{
	(void)unused;
	passing(1);
	pa_passing_holders_hold();
	pa_passing_stacks_atfork_child(true);
	assert_int_equal(count(), 1);
	pa_passing_stacks_drop_locked();
	assert_int_equal(count(), 0);
	passing(1);
	pa_passing_stacks_atfork_child(false);
	assert_int_equal(count(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(equal_stacks_are_one_and_not_in_the_table, fresh),
		cmocka_unit_test_setup(a_stack_of_the_table_is_used, fresh),
		cmocka_unit_test_setup(the_table_has_its_own, fresh),
		cmocka_unit_test_setup(all_are_dropped_when_nothing_holds_them, fresh),
		cmocka_unit_test_setup(what_has_no_room_goes_into_the_table, fresh),
		cmocka_unit_test_setup(ever_new_stacks_need_no_more_memory, fresh),
		cmocka_unit_test_setup(deep_stacks_and_tails_are_as_in_the_table, fresh),
		cmocka_unit_test_setup(a_child_has_no_holders, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

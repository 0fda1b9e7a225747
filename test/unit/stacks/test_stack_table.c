/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/lib/c/stacks_fixture.h"

#define MAX_BYTES ((size_t)20 << 20)

static struct pa_module *text;

static int fresh(void **unused)
{
	(void)unused;
	text = begin_with_empty_table(MAX_BYTES);
	return 0;
}

static const struct pa_loc *loc_of(const struct pa_stack *stack, uint32_t i)
{
	assert_true(i < stack->depth);
	return pa_stack_table_loc(stack->locs[i]);
}

static void equal_pcs_are_one_stack(void **unused)
{
	uintptr_t a[] = { TEXT + 1, TEXT + 2, TEXT + 3 }, b[] = { TEXT + 1, TEXT + 2, TEXT + 4 };
	const struct pa_stack *stack = pa_stack_table_intern_locked(a, 3, false, PA_PSEUDO_NONE);
	(void)unused;
	assert_ptr_equal(pa_stack_table_intern_locked(a, 3, false, PA_PSEUDO_NONE), stack);
	assert_ptr_not_equal(pa_stack_table_intern_locked(b, 3, false, PA_PSEUDO_NONE), stack);
	assert_ptr_not_equal(pa_stack_table_intern_locked(a, 2, false, PA_PSEUDO_NONE), stack);
	assert_ptr_equal(pa_stack_table_intern_locked(a, 3, false, PA_PSEUDO_NONE), stack);
	assert_int_equal(stack->depth, 3);
}

static void return_addresses_are_stepped_back_and_leaves_are_not(void **unused)
{
	uintptr_t pcs[] = { TEXT + 0x10, TEXT + 0x20 };
	const struct pa_stack *leaf = pa_stack_table_intern_locked(pcs, 2, true, PA_PSEUDO_NONE);
	const struct pa_stack *call = pa_stack_table_intern_locked(pcs, 2, false, PA_PSEUDO_NONE);
	(void)unused;
	assert_ptr_not_equal(leaf, call);
	assert_int_equal(loc_of(leaf, 0)->pc, TEXT + 0x10);
	assert_int_equal(loc_of(leaf, 0)->raw_pc, TEXT + 0x10);
	assert_int_equal(loc_of(call, 0)->pc, TEXT + 0xf);
	assert_int_equal(loc_of(call, 0)->raw_pc, TEXT + 0x10);
	assert_int_equal(loc_of(leaf, 1)->pc, TEXT + 0x1f);
	assert_int_equal(leaf->locs[1], call->locs[1]);
	assert_ptr_equal(loc_of(leaf, 0)->module, text);
}

/* Of a function that a return enters, a trampoline, an instruction that a signal interrupted: the
 * byte in front of it may be another function's. */
static void addresses_behind_no_call_are_those_of_the_profile(void **unused)
{
	static const uint8_t code[] = {
		0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, /* nop */
		0xe8, 0xf3, 0xff, 0xff, 0xff,                   /* call TEXT */
		0x90,                                           /* nop */
		0xff, 0xd0,                                     /* call *%rax */
	};
	const uintptr_t pcs[] = { TEXT + 8, TEXT + 0xd, TEXT + 0xe, TEXT + 0x10 };
	(void)unused;
	text->is_elf = true;
	fake_maps.code_at = TEXT;
	fake_maps.code = code;
	fake_maps.code_bytes = sizeof(code);
	const struct pa_stack *stack = pa_stack_table_intern_locked(pcs, 4, false, PA_PSEUDO_NONE);
	assert_int_equal(loc_of(stack, 0)->pc, TEXT + 8);
	assert_int_equal(loc_of(stack, 1)->pc, TEXT + 0xc);
	assert_int_equal(loc_of(stack, 2)->pc, TEXT + 0xe);
	assert_int_equal(loc_of(stack, 3)->pc, TEXT + 0xf);
	for (uint32_t i = 0; i < stack->depth; i++)
		assert_int_equal(loc_of(stack, i)->raw_pc, pcs[i]);
	assert_ptr_equal(pa_stack_table_intern_locked(pcs, 4, false, PA_PSEUDO_NONE), stack);
	const struct pa_stack *leaf = pa_stack_table_intern_locked(pcs, 1, true, PA_PSEUDO_NONE);
	assert_int_equal(leaf->locs[0], stack->locs[0]); /* one location for both */
}

/* It may be overwritten, or gone. */
static void code_that_no_file_has_counts_as_calls(void **unused)
{
	static const uint8_t code[0x20] = { 0x90 };
	const uintptr_t pcs[] = { TEXT + 8, TEXT + 0x100 };
	(void)unused;
	fake_maps.code_at = TEXT;
	fake_maps.code = code;
	fake_maps.code_bytes = sizeof(code);
	for (int elf = 0; elf < 2; elf++) {
		text->is_elf = elf;
		const struct pa_stack *stack =
			pa_stack_table_intern_locked(&pcs[elf], 1, false, PA_PSEUDO_NONE);
		assert_int_equal(loc_of(stack, 0)->pc, pcs[elf] - 1);
	}
}

/* The last instruction of a module may be a call: its return address lies behind the module. */
static void a_return_address_behind_its_module_belongs_to_it(void **unused)
{
	uintptr_t pc = TEXT_END;
	(void)unused;
	assert_ptr_equal(
		loc_of(pa_stack_table_intern_locked(&pc, 1, false, PA_PSEUDO_NONE), 0)->module,
		text);
	assert_null(loc_of(pa_stack_table_intern_locked(&pc, 1, true, PA_PSEUDO_NONE), 0)->module);
}

static void tails_are_outermost_pseudo_locations(void **unused)
{
	uintptr_t pc = TEXT + 1;
	const struct pa_stack *plain = pa_stack_table_intern_locked(&pc, 1, false, PA_PSEUDO_NONE);
	const struct pa_stack *broken =
		pa_stack_table_intern_locked(&pc, 1, false, PA_PSEUDO_BROKEN);
	const struct pa_stack *cut = pa_stack_table_intern_locked(&pc, 1, false, PA_PSEUDO_CUT);
	(void)unused;
	assert_int_equal(plain->depth, 1);
	assert_int_equal(broken->depth, 2);
	assert_int_equal(loc_of(broken, 1)->pc, PA_PSEUDO_BROKEN);
	assert_null(loc_of(broken, 1)->module);
	assert_int_equal(loc_of(cut, 1)->pc, PA_PSEUDO_CUT);
	assert_ptr_equal(pa_stack_table_intern_locked(&pc, 1, false, PA_PSEUDO_BROKEN), broken);
	assert_ptr_equal(pa_stack_table_intern_locked(&pc, 1, false, PA_PSEUDO_CUT), cut);
	assert_ptr_equal(pa_stack_table_intern_locked(&pc, 1, false, PA_PSEUDO_NONE), plain);
	assert_int_equal(pa_stack_table_overflow()->depth, 1);
	assert_int_equal(loc_of(pa_stack_table_overflow(), 0)->pc, PA_PSEUDO_LOST);
}

static void time_of_a_threads_end_is_below_its_start_routine(void **unused)
{
	(void)unused;
	const uintptr_t start = TEXT;
	const struct pa_stack *stack = pa_stack_table_intern_rest_locked(PA_PSEUDO_EXIT, start);
	assert_int_equal(stack->depth, 2);
	assert_int_equal(loc_of(stack, 0)->pc, PA_PSEUDO_EXIT);
	assert_null(loc_of(stack, 0)->module);
	assert_int_equal(loc_of(stack, 1)->pc, start); /* not the function before it */
	assert_ptr_equal(pa_stack_table_intern_rest_locked(PA_PSEUDO_EXIT, start), stack);
	assert_ptr_not_equal(pa_stack_table_intern_locked(&start, 1, true, PA_PSEUDO_NONE), stack);
	assert_ptr_not_equal(pa_stack_table_intern_rest_locked(PA_PSEUDO_REST, start), stack);
	stack = pa_stack_table_intern_rest_locked(PA_PSEUDO_REST, 0);
	assert_int_equal(stack->depth, 1);
	assert_int_equal(loc_of(stack, 0)->pc, PA_PSEUDO_REST);
}

static void no_pcs_are_a_stack_too(void **unused)
{
	const struct pa_stack *empty = pa_stack_table_intern_locked(NULL, 0, false, PA_PSEUDO_NONE);
	const struct pa_stack *broken =
		pa_stack_table_intern_locked(NULL, 0, false, PA_PSEUDO_BROKEN);
	(void)unused;
	assert_int_equal(empty->depth, 0);
	assert_int_equal(broken->depth, 1);
	assert_int_equal(loc_of(broken, 0)->pc, PA_PSEUDO_BROKEN);
	assert_ptr_equal(pa_stack_table_intern_locked(NULL, 0, false, PA_PSEUDO_NONE), empty);
}

static void wild_pcs_never_pass_for_pseudo_locations(void **unused)
{
	(void)unused;
	for (uintptr_t wild = 0; wild < 6; wild++) {
		uintptr_t pcs[] = { TEXT + 1, wild };
		const struct pa_stack *tail = pa_stack_table_intern_locked(pcs, 1, false,
			(enum pa_pseudo_pc)(1 + wild % 3));
		const struct pa_stack *call =
			pa_stack_table_intern_locked(pcs, 2, false, PA_PSEUDO_NONE);
		const struct pa_stack *leaf =
			pa_stack_table_intern_locked(pcs + 1, 1, true, PA_PSEUDO_NONE);
		assert_ptr_not_equal(call, tail);
		assert_true(loc_of(call, 1)->pc >= PA_PSEUDO_LIMIT);
		assert_true(loc_of(leaf, 0)->pc >= PA_PSEUDO_LIMIT);
		assert_ptr_not_equal(leaf, pa_stack_table_overflow());
	}
}

static void too_deep_stacks_are_cut(void **unused)
{
	uintptr_t pcs[PA_STACK_TABLE_DEPTH + 5];
	const struct pa_stack *stack;
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(pcs); i++)
		pcs[i] = TEXT + 100 + i;
	stack = pa_stack_table_intern_locked(pcs, PA_STACK_TABLE_DEPTH, false, PA_PSEUDO_NONE);
	assert_int_equal(stack->depth, PA_STACK_TABLE_DEPTH);
	stack = pa_stack_table_intern_locked(pcs, PA_COUNT(pcs), false, PA_PSEUDO_NONE);
	assert_int_equal(stack->depth, PA_STACK_TABLE_DEPTH + 1);
	assert_int_equal(loc_of(stack, PA_STACK_TABLE_DEPTH)->pc, PA_PSEUDO_CUT);
}

enum { RANDOM_STACKS = 30000, RANDOM_DEPTH = 12 };

static void random_pcs(uint32_t seed, uintptr_t pcs[RANDOM_DEPTH])
{
	/* A common root and leaf, the seed's digits in between. */
	for (int i = 0; i < RANDOM_DEPTH; i++) {
		uintptr_t digit = i < 6 ? seed >> (3 * i) & 7 : 0;
		pcs[i] = TEXT + 0x1000 * (uintptr_t)i + digit * 16 + 5;
	}
}

/* Many more stacks than the memo and the first tables have room for. */
static void every_distinct_stack_keeps_its_own_pointer(void **unused)
{
	static const struct pa_stack *first[RANDOM_STACKS];
	uintptr_t pcs[RANDOM_DEPTH];
	(void)unused;
	for (uint32_t i = 0; i < RANDOM_STACKS; i++) {
		random_pcs(i, pcs);
		first[i] = pa_stack_table_intern_locked(pcs, RANDOM_DEPTH, i & 1, PA_PSEUDO_NONE);
		assert_ptr_not_equal(first[i], pa_stack_table_overflow());
	}
	for (uint32_t i = 0; i < RANDOM_STACKS; i++) {
		random_pcs(i, pcs);
		assert_ptr_equal(pa_stack_table_intern_locked(pcs, RANDOM_DEPTH, i & 1,
					 PA_PSEUDO_NONE),
			first[i]);
		for (uint32_t d = 0; d < RANDOM_DEPTH; d++)
			assert_int_equal(loc_of(first[i], d)->raw_pc, pcs[d]);
	}
	assert_int_equal(pa_stack_table_stats().stacks, RANDOM_STACKS + 1); /* and the overflow */
	assert_true(pa_stack_table_loc_count() < 100);
}

/* So many that some of them meet in the memo, where only their leaf or tail tells them apart. */
static void leaf_and_tail_tell_equal_pcs_apart(void **unused)
{
	(void)unused;
	for (uintptr_t i = 0; i < 20000; i++) {
		uintptr_t pcs[] = { TEXT + 0x10000 + i * 4, TEXT + 8 };
		const struct pa_stack *call =
			pa_stack_table_intern_locked(pcs, 2, false, PA_PSEUDO_NONE);
		const struct pa_stack *leaf =
			pa_stack_table_intern_locked(pcs, 2, true, PA_PSEUDO_NONE);
		const struct pa_stack *broken =
			pa_stack_table_intern_locked(pcs, 2, false, PA_PSEUDO_BROKEN);
		const struct pa_stack *cut =
			pa_stack_table_intern_locked(pcs, 2, false, PA_PSEUDO_CUT);
		assert_int_equal(loc_of(call, 0)->pc, pcs[0] - 1);
		assert_int_equal(loc_of(leaf, 0)->pc, pcs[0]);
		assert_int_equal(loc_of(broken, 2)->pc, PA_PSEUDO_BROKEN);
		assert_int_equal(loc_of(cut, 2)->pc, PA_PSEUDO_CUT);
	}
}

static void a_forgotten_module_gives_new_locations(void **unused)
{
	uintptr_t pcs[] = { TEXT_END + 0x10, TEXT + 0x20 };
	struct pa_module *old = fake_map(TEXT_END, TEXT_END + 0x1000), *new;
	const struct pa_stack *before, *after;
	(void)unused;
	pa_modules_changed(INT64_MAX);
	before = pa_stack_table_intern_locked(pcs, 2, false, PA_PSEUDO_NONE);
	assert_ptr_equal(loc_of(before, 0)->module, old);

	fake_unmap(old);
	new = fake_map(TEXT_END, TEXT_END + 0x1000);
	pa_modules_changed(INT64_MAX);
	after = pa_stack_table_intern_locked(pcs, 2, false, PA_PSEUDO_NONE);
	assert_ptr_not_equal(after, before);
	assert_ptr_equal(loc_of(after, 0)->module, new);
	assert_int_equal(after->locs[1], before->locs[1]);
	/* What was recorded in it stays as it was. */
	assert_ptr_equal(loc_of(before, 0)->module, old);
	assert_int_equal(loc_of(before, 0)->raw_pc, pcs[0]);
	assert_ptr_equal(pa_stack_table_intern_locked(pcs, 2, false, PA_PSEUDO_NONE), after);
}

/* Loading and unloading for ever must not make looking up slower and slower. */
static void reloading_a_module_often_stays_cheap_and_right(void **unused)
{
	struct pa_module *module = NULL;
	(void)unused;
	for (int round = 0; round < FAKE_MODULES - 2; round++) {
		if (module)
			fake_unmap(module);
		module = fake_map(TEXT_END, TEXT_END + 0x1000);
		pa_modules_changed(INT64_MAX);
		for (uintptr_t i = 0; i < 50; i++) {
			uintptr_t pc = TEXT_END + 1 + i * 8;
			const struct pa_stack *stack =
				pa_stack_table_intern_locked(&pc, 1, true, PA_PSEUDO_NONE);
			assert_ptr_equal(loc_of(stack, 0)->module, module);
		}
	}
	assert_int_equal(pa_stack_table_loc_count(), PA_PSEUDO_LIMIT - 1 + 50 * (FAKE_MODULES - 2));
}

static void pcs_without_a_module_are_placed_when_it_is_found(void **unused)
{
	uintptr_t pc = TEXT_END + 0x10;
	const struct pa_stack *before = pa_stack_table_intern_locked(&pc, 1, true, PA_PSEUDO_NONE),
			      *after;
	struct pa_module *found;
	(void)unused;
	assert_null(loc_of(before, 0)->module);
	assert_ptr_equal(pa_stack_table_intern_locked(&pc, 1, true, PA_PSEUDO_NONE), before);
	found = fake_map(TEXT_END, TEXT_END + 0x1000);
	pa_modules_changed(INT64_MAX);
	after = pa_stack_table_intern_locked(&pc, 1, true, PA_PSEUDO_NONE);
	assert_ptr_equal(loc_of(after, 0)->module, found);
	assert_null(loc_of(before, 0)->module);
}

/* Endless new stacks: the cap holds, and every further one is the overflow and counted. */
/* The modules of fake_maps.h are in no file, so all code is made at run time. */
static void code_that_is_written_over_other_code_gives_new_locations(void **unused)
{
	uintptr_t pcs[] = { TEXT + 0x11, TEXT + 0x21 };
	const struct pa_stack_table_code ranges[] = { { TEXT, TEXT + 8 },
		{ TEXT + 0x10, TEXT + 0x11 }, { TEXT + 0x18, TEXT + 0x20 } };
	(void)unused;
	assert_false(pa_stack_table_has_code_unlocked());
	const struct pa_stack *old = pa_stack_table_intern_locked(pcs, 2, false, PA_PSEUDO_NONE);
	assert_true(pa_stack_table_has_code_unlocked());
	assert_true(pa_stack_table_renew_code_locked(ranges, PA_COUNT(ranges), 77));
	const struct pa_stack *new = pa_stack_table_intern_locked(pcs, 2, false, PA_PSEUDO_NONE);
	assert_ptr_not_equal(old, new);
	assert_int_equal(loc_of(old, 0)->pc, loc_of(new, 0)->pc);
	assert_int_equal(loc_of(old, 0)->code_until, 77);
	assert_int_equal(loc_of(new, 0)->code_until, 0);
	assert_int_not_equal(loc_of(old, 0)->code_version, loc_of(new, 0)->code_version);
	/* The byte behind the last range: not that of the return address, but that of the call. */
	assert_int_equal(old->locs[1], new->locs[1]);
	assert_ptr_equal(pa_stack_table_intern_locked(pcs, 2, false, PA_PSEUDO_NONE), new);
}

static void code_in_files_is_not_written_over(void **unused)
{
	uintptr_t pc = TEXT + 0x11;
	const struct pa_stack_table_code all = { 0, UINTPTR_MAX };
	(void)unused;
	text->inode = 1;
	const struct pa_stack *stack = pa_stack_table_intern_locked(&pc, 1, false, PA_PSEUDO_NONE);
	assert_false(pa_stack_table_has_code_unlocked());
	assert_true(pa_stack_table_renew_code_locked(&all, 1, 1));
	assert_ptr_equal(pa_stack_table_intern_locked(&pc, 1, false, PA_PSEUDO_NONE), stack);
}

static void endless_rewriting_ends_with_one_location(void **unused)
{
	uintptr_t pc = TEXT + 0x11;
	const struct pa_stack_table_code all = { 0, UINTPTR_MAX };
	uint32_t times = 0;
	(void)unused;
	do
		pa_stack_table_intern_locked(&pc, 1, false, PA_PSEUDO_NONE);
	while (times++ < 100000 && pa_stack_table_renew_code_locked(&all, 1, times));
	assert_int_equal(times, UINT16_MAX + 1);
	const struct pa_stack *stack = pa_stack_table_intern_locked(&pc, 1, false, PA_PSEUDO_NONE);
	assert_false(pa_stack_table_renew_code_locked(&all, 1, 1));
	assert_ptr_equal(pa_stack_table_intern_locked(&pc, 1, false, PA_PSEUDO_NONE), stack);
}

static void full_memory_turns_new_stacks_into_overflow(void **unused)
{
	uintptr_t pcs[20];
	const struct pa_stack *first;
	uint64_t interned = 0, turned = 0;
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(pcs); i++)
		pcs[i] = TEXT + 0x100 * i;
	first = pa_stack_table_intern_locked(pcs, PA_COUNT(pcs), false, PA_PSEUDO_NONE);
	while (turned < 1000 && interned < 1000000) {
		pcs[10] = TEXT + 0x10000 + interned++ * 16;
		turned += pa_stack_table_intern_locked(pcs, PA_COUNT(pcs), false, PA_PSEUDO_NONE) ==
			pa_stack_table_overflow();
	}
	assert_int_equal(turned, 1000);
	assert_int_equal(pa_stack_table_stats().overflowed, 1000);
	assert_true(pa_stack_table_stats().bytes <= MAX_BYTES);
	assert_true(pa_stack_table_stats().bytes > MAX_BYTES - (1 << 20));
	assert_true(pa_stack_table_stats().stacks > 80000);
	pcs[10] = TEXT + 0x100 * 10;
	assert_ptr_equal(pa_stack_table_intern_locked(pcs, PA_COUNT(pcs), false, PA_PSEUDO_NONE),
		first);
}

static void too_little_memory_to_begin_with_is_an_error(void **unused)
{
	(void)unused;
	pa_stack_table_reset();
	assert_int_equal(pa_stack_table_init(4096), -ENOMEM);
	assert_int_equal(pa_stack_table_init(MAX_BYTES), 0);
	assert_non_null(pa_stack_table_overflow());
}

static void few_stacks_need_little_memory(void **unused)
{
	uintptr_t pcs[RANDOM_DEPTH];
	(void)unused;
	for (uint32_t i = 0; i < 100; i++) {
		random_pcs(i, pcs);
		pa_stack_table_intern_locked(pcs, RANDOM_DEPTH, false, PA_PSEUDO_NONE);
	}
	assert_true(pa_stack_table_stats().bytes <= 128 * 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(equal_pcs_are_one_stack, fresh),
		cmocka_unit_test_setup(return_addresses_are_stepped_back_and_leaves_are_not, fresh),
		cmocka_unit_test_setup(a_return_address_behind_its_module_belongs_to_it, fresh),
		cmocka_unit_test_setup(tails_are_outermost_pseudo_locations, fresh),
		cmocka_unit_test_setup(time_of_a_threads_end_is_below_its_start_routine, fresh),
		cmocka_unit_test_setup(no_pcs_are_a_stack_too, fresh),
		cmocka_unit_test_setup(wild_pcs_never_pass_for_pseudo_locations, fresh),
		cmocka_unit_test_setup(too_deep_stacks_are_cut, fresh),
		cmocka_unit_test_setup(every_distinct_stack_keeps_its_own_pointer, fresh),
		cmocka_unit_test_setup(addresses_behind_no_call_are_those_of_the_profile, fresh),
		cmocka_unit_test_setup(code_that_no_file_has_counts_as_calls, fresh),
		cmocka_unit_test_setup(leaf_and_tail_tell_equal_pcs_apart, fresh),
		cmocka_unit_test_setup(a_forgotten_module_gives_new_locations, fresh),
		cmocka_unit_test_setup(reloading_a_module_often_stays_cheap_and_right, fresh),
		cmocka_unit_test_setup(pcs_without_a_module_are_placed_when_it_is_found, fresh),
		cmocka_unit_test_setup(code_that_is_written_over_other_code_gives_new_locations,
			fresh),
		cmocka_unit_test_setup(code_in_files_is_not_written_over, fresh),
		cmocka_unit_test_setup(endless_rewriting_ends_with_one_location, fresh),
		cmocka_unit_test_setup(full_memory_turns_new_stacks_into_overflow, fresh),
		cmocka_unit_test_setup(too_little_memory_to_begin_with_is_an_error, fresh),
		cmocka_unit_test_setup(few_stacks_need_little_memory, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

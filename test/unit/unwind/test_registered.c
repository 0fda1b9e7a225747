/* SPDX-License-Identifier: Apache-2.0 */
/* Unwind tables that the program has registered: used, taken back, and replaced. */
#include "test/lib/c/registered_tables.h"

static void functions_of_a_registered_table_have_rules(void **unused)
{
	(void)unused;
	uintptr_t absolute = put_cie(CIE_ABSOLUTE);
	/* Not in the order of their addresses, and with two CIEs. */
	put_fde(absolute, made.code + 0x400, 64, FRAME_80);
	put_fde(absolute, made.code + 0x100, 0x100, FRAME_48);
	uintptr_t relative = put_cie(CIE_RELATIVE);
	if (made.code - made.table == (int32_t)(made.code - made.table))
		put_relative_fde(relative, made.code + 0x800, 64, FRAME_48);
	put_end();
	assert_int_equal(find(made.code + 0x100), -ENOENT);
	add(absolute);
	assert_int_equal(find(made.code + 0x1ff), 0);
	assert_int_equal(cfi.start, (uintptr_t)made.code + 0x100);
	assert_int_equal(cfi.limit, (uintptr_t)made.code + 0x200);
	assert_int_equal(find(made.code + 0xff), -ENOENT);
	assert_int_equal(find(made.code + 0x200), -ENOENT);
	assert_rule(made.code + 0x103, 8, 0);
	assert_rule(made.code + 0x104, 48, -16);
	assert_rule(made.code + 0x410, 80, 0);
	if (made.code - made.table == (int32_t)(made.code - made.table))
		assert_rule(made.code + 0x810, 48, -16);
	assert_int_equal(cut(), 0);
}

static void table_is_not_used_behind_its_end(void **unused)
{
	(void)unused;
	uintptr_t first = put_one(made.code, FRAME_48);
	put_one(made.code + 0x100, FRAME_48);
	add(first);
	assert_int_equal(find(made.code + 8), 0);
	assert_int_equal(find(made.code + 0x108), -ENOENT);
	assert_int_equal(cut(), 0);
}

/* LLVM's libunwind is told of each FDE. */
static void single_fde_is_used_alone(void **unused)
{
	(void)unused;
	uintptr_t cie = put_cie(CIE_ABSOLUTE);
	uintptr_t first = put_fde(cie, made.code, 64, FRAME_48);
	put_fde(cie, made.code + 0x100, 64, FRAME_80);
	put32(0xfffffff0);
	add(first);
	assert_rule(made.code + 8, 48, -16);
	assert_int_equal(find(made.code + 0x108), -ENOENT);
	assert_int_equal(cut(), 0);
}

static void lists_of_tables_are_followed(void **unused)
{
	(void)unused;
	uintptr_t list[] = { put_one(made.code, FRAME_48), put_one(made.code + 0x200, FRAME_80),
		0 };
	assert_true(pa_unwind_tables_add(&tables, (uintptr_t)list, true, ++made.now_ns));
	assert_rule(made.code + 8, 48, -16);
	assert_rule(made.code + 0x208, 80, 0);
	take((uintptr_t)list);
	assert_int_equal(find(made.code + 8), -ENOENT);
}

static void code_of_a_file_is_not_looked_up(void **unused)
{
	(void)unused;
	add(put_one(made.code, FRAME_48));
	assert_int_equal(find(made.code + 8), 0);
	fake.image = (struct pa_module){ .start = (uintptr_t)made.code,
		.limit = (uintptr_t)made.code + CODE_BYTES,
		.is_elf = true };
	assert_int_equal(find(made.code + 8), -ENOENT);
	fake.image = (struct pa_module){ .start = 0 };
}

/* ---- removal and time ---- */

static void table_that_was_taken_back_has_no_rules(void **unused)
{
	(void)unused;
	uintptr_t begin = put_one(made.code, FRAME_48);
	add(begin);
	assert_false(take(begin)); /* no rule of it was learnt */
	assert_int_equal(find(made.code + 8), -ENOENT);
	add(begin);
	assert_int_equal(find(made.code + 8), 0);
	assert_true(take(begin));
	memset(made.table, 0xff, made.used);
	assert_int_equal(find(made.code + 8), -ENOENT);
}

/* Its memory is gone, or has other contents; nothing of it is looked at. */
static void stack_from_before_the_removal_ends(void **unused)
{
	(void)unused;
	uintptr_t begin = put_one(made.code, FRAME_48);
	add(begin);
	assert_int_equal(find(made.code + 8), 0);
	int64_t before_ns = ++made.now_ns;
	take(begin);
	pa_registered_event(before_ns);
	assert_int_equal(pa_cfi_find(&cfi, (uintptr_t)made.code + 8), -ESTALE);
	assert_int_equal(pa_unwind_learn((uintptr_t)made.code + 8, true).kind, PA_RULE_NONE);
	/* Also behind an update of the index. */
	add(put_one(made.code + 0x100, FRAME_48));
	pa_registered_event(before_ns);
	assert_int_equal(pa_cfi_find(&cfi, (uintptr_t)made.code + 8), -ESTALE);
	assert_int_equal(find(made.code + 8), -ENOENT);
}

static void newer_code_has_the_rules_of_the_newer_table(void **unused)
{
	(void)unused;
	uintptr_t begin = put_one(made.code, FRAME_48);
	add(begin);
	assert_rule(made.code + 8, 48, -16);
	int64_t before_ns = ++made.now_ns;
	take(begin);
	made.used = 0;
	assert_int_equal(put_one(made.code, FRAME_80), begin);
	add(begin);
	assert_rule(made.code + 8, 80, 0);
	pa_registered_event(before_ns);
	assert_int_equal(pa_cfi_find(&cfi, (uintptr_t)made.code + 8), -ESTALE);
	/* And a table elsewhere, whose function begins elsewhere. */
	before_ns = ++made.now_ns;
	take(begin);
	add(put_one(made.code + 4, FRAME_48));
	assert_rule(made.code + 4 + 8, 48, -16);
	pa_registered_event(before_ns);
	assert_int_equal(pa_cfi_find(&cfi, (uintptr_t)made.code + 8), -ESTALE);
}

/* The program wrote over a table that it did not take back. */
static void table_that_changed_is_not_believed(void **unused)
{
	(void)unused;
	uintptr_t begin = put_one(made.code, FRAME_48);
	add(begin);
	assert_int_equal(find(made.code + 8), 0);
	made.used = 0;
	put_one(made.code + 0x20, FRAME_80);
	assert_int_equal(find(made.code + 8), -EBADMSG);
	memset(made.table, 0, 64);
	assert_int_equal(find(made.code + 8), -EBADMSG);
	munmap(made.table, 4096);
	assert_int_equal(find(made.code + 8), -EBADMSG);
	map_made(4096, PROT_NONE);
}

static uintptr_t taken_while_read;

static void take_now(void)
{
	take(taken_while_read);
	memset(made.table, 0x80, made.used);
}

static void table_that_is_taken_back_while_it_is_read_is_dropped(void **unused)
{
	(void)unused;
	taken_while_read = put_one(made.code, FRAME_48);
	add(taken_while_read);
	fake.on_memory_read = take_now;
	assert_int_equal(find(made.code + 8), -ENOENT);
	fake.on_memory_read = NULL;
	made.used = 0;
	put_one(made.code, FRAME_48);
	add(taken_while_read);
	assert_int_equal(find(made.code + 8), 0);
	pa_registered_event(++made.now_ns);
	fake.on_memory_read = take_now;
	assert_int_equal(pa_cfi_find(&cfi, (uintptr_t)made.code + 8), -ESTALE);
	fake.on_memory_read = NULL;
}

/* ---- walks ---- */

static NO_FRAME_POINTER void run_made_code(uint8_t *code)
{
	((void (*)(void (*)(void)))code)(capture);
	NOT_A_TAIL_CALL();
	expect_from((uintptr_t)__builtin_return_address(0));
}

/* push rbp; mov $1, ebp; sub $64, rsp; call *rdi; add $64, rsp; pop rbp; pop rcx; jmp *rcx */
static const uint8_t opaque[] = { 0x55, 0xbd, 1, 0, 0, 0, 0x48, 0x83, 0xec, 0x40, 0xff, 0xd7, 0x48,
	0x83, 0xc4, 0x40, 0x5d, 0x59, 0xff, 0xe1 };
/* advance 1; cfa 16; rbp at cfa - 16; advance 9; cfa 80; advance 6; cfa 16 */
#define OPAQUE_FRAME BYTES(0x41, 0x0e, 16, 0x86, 2, 0x49, 0x0e, 80, 0x46, 0x0e, 16)

/* The first walk is that of the collector, which learns the rules. */
static void stacks_lead_through_registered_code(void **unused)
{
	(void)unused;
	uint8_t *at = made.code + 0x140;
	memcpy(at, opaque, sizeof(opaque));
	run_made_code(at);
	assert_int_equal(run.result.depth, 1);
	assert_int_equal(pa_frame_cache_find(run.frames, (uintptr_t)at + 12, false).kind,
		PA_RULE_CHAIN);
	/* What was guessed is forgotten when there is a table. */
	uintptr_t begin = put_one(at, OPAQUE_FRAME);
	assert_true(pa_unwind_tables_add(&tables, begin, false, 1));
	pa_unwind_follow_tables(run.frames);
	assert_int_equal(pa_frame_cache_find(run.frames, (uintptr_t)at + 12, false).kind,
		PA_RULE_NONE);
	run.time_ns = made.now_ns + 1000;
	run_made_code(at);
	assert_int_equal(run.pcs[0], (uintptr_t)at + 12);
	assert_in_range(run.pcs[1], (uintptr_t)run_made_code, (uintptr_t)run_made_code + 200);
	assert_same_stack(run.pcs, run.result, 2, 1);
	struct pa_rule rule = pa_frame_cache_find(run.frames, (uintptr_t)at + 12, false);
	assert_int_equal(rule.kind, PA_RULE_SP);
	assert_int_equal(rule.cfa_offset, 80);
	/* What takes it back has to renew the cache. */
	assert_true(pa_unwind_tables_remove(&tables, begin, run.time_ns + 1));
	pa_frame_cache_new_epoch(run.frames);
	run_made_code(at);
	assert_int_equal(run.result.depth, 1);
	assert_true(run.result.late && !run.result.complete);
	assert_int_equal(pa_frame_cache_find(run.frames, (uintptr_t)at + 12, false).kind,
		PA_RULE_NONE);
	run.time_ns = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLES_TEST(functions_of_a_registered_table_have_rules),
		TABLES_TEST(table_is_not_used_behind_its_end),
		TABLES_TEST(single_fde_is_used_alone),
		TABLES_TEST(lists_of_tables_are_followed),
		TABLES_TEST(code_of_a_file_is_not_looked_up),
		TABLES_TEST(table_that_was_taken_back_has_no_rules),
		TABLES_TEST(stack_from_before_the_removal_ends),
		TABLES_TEST(newer_code_has_the_rules_of_the_newer_table),
		TABLES_TEST(table_that_changed_is_not_believed),
		TABLES_TEST(table_that_is_taken_back_while_it_is_read_is_dropped),
		TABLES_TEST(stacks_lead_through_registered_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

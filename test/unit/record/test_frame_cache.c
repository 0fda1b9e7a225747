/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "agent/arch/arch.h"
#include "agent/record/frame_cache.h"

static const struct pa_rule plain = { .kind = PA_RULE_SP, .cfa_offset = 48, .bp_offset = -16 };

static void assert_same_rule(struct pa_rule got, const struct pa_rule *want)
{
	assert_int_equal(got.kind, want->kind);
	assert_int_equal(got.cfa_offset, want->cfa_offset);
	assert_int_equal(got.base_offset, want->base_offset);
	assert_int_equal(got.bp_offset, want->bp_offset);
}

static void unknown_pc_has_no_rule(void **unused)
{
	(void)unused;
	struct pa_frame_cache *frames = pa_frame_cache_create();
	assert_int_equal(pa_frame_cache_find(frames, 0x401000, false).kind, PA_RULE_NONE);
	assert_int_equal(pa_frame_cache_find(frames, 0, false).kind, PA_RULE_NONE);
}

static void rule_comes_back_as_it_was_at_all_limits(void **unused)
{
	(void)unused;
	const struct pa_rule rules[] = {
		plain,
		{ .kind = PA_RULE_SP, .cfa_offset = PA_RULE_CFA_LIMIT - 8 },
		{ .kind = PA_RULE_BP, .cfa_offset = -PA_RULE_CFA_LIMIT },
		{ PA_RULE_BP_DEREF, 8, PA_RULE_BASE_LIMIT - 8, -PA_RULE_BP_LIMIT },
		{ PA_RULE_SP_DEREF, 8, -PA_RULE_BASE_LIMIT, -8 },
		{ .kind = PA_RULE_END },
		{ .kind = PA_RULE_COMPLEX },
	};
	struct pa_frame_cache *frames = pa_frame_cache_create();
	for (size_t i = 0; i < PA_COUNT(rules); i++) {
		uintptr_t pc = 0x7fff12345000 + i;
		assert_true(pa_frame_cache_insert(frames, pc, false, &rules[i], 0));
		assert_same_rule(pa_frame_cache_find(frames, pc, false), &rules[i]);
	}
}

static void rule_beyond_a_limit_is_refused(void **unused)
{
	(void)unused;
	const struct pa_rule rules[] = {
		{ .kind = PA_RULE_SP, .cfa_offset = PA_RULE_CFA_LIMIT },
		{ .kind = PA_RULE_SP, .cfa_offset = 12 },
		{ PA_RULE_BP_DEREF, 8, PA_RULE_BASE_LIMIT, 0 },
		{ .kind = PA_RULE_BP, .cfa_offset = 16, .bp_offset = 8 },
		{ .kind = PA_RULE_BP, .cfa_offset = 16, .bp_offset = -PA_RULE_BP_LIMIT - 8 },
		{ .kind = PA_RULE_NONE },
	};
	struct pa_frame_cache *frames = pa_frame_cache_create();
	for (size_t i = 0; i < PA_COUNT(rules); i++)
		assert_false(pa_frame_cache_insert(frames, 0x1000, false, &rules[i], 0));
	assert_false(pa_frame_cache_insert(frames, PA_ADDRESS_LIMIT, false, &plain, 0));
}

static void leaf_and_return_address_have_rules_of_their_own(void **unused)
{
	(void)unused;
	struct pa_frame_cache *frames = pa_frame_cache_create();
	const struct pa_rule leaf = { .kind = PA_RULE_SP, .cfa_offset = 8 };
	assert_true(pa_frame_cache_insert(frames, 0x5000, false, &plain, 0));
	assert_int_equal(pa_frame_cache_find(frames, 0x5000, true).kind, PA_RULE_NONE);
	assert_true(pa_frame_cache_insert(frames, 0x5000, true, &leaf, 0));
	assert_same_rule(pa_frame_cache_find(frames, 0x5000, true), &leaf);
	assert_same_rule(pa_frame_cache_find(frames, 0x5000, false), &plain);
}

static void new_epoch_forgets_all_rules(void **unused)
{
	(void)unused;
	struct pa_frame_cache *frames = pa_frame_cache_create();
	uint32_t before = pa_frame_cache_epoch(frames);
	assert_true(pa_frame_cache_insert(frames, 0x5000, false, &plain, before));
	pa_frame_cache_new_epoch(frames);
	assert_int_equal(pa_frame_cache_find(frames, 0x5000, false).kind, PA_RULE_NONE);
	/* A rule that was computed before the unload is dead when it arrives. */
	assert_true(pa_frame_cache_insert(frames, 0x6000, false, &plain, before));
	assert_int_equal(pa_frame_cache_find(frames, 0x6000, false).kind, PA_RULE_NONE);
	assert_true(pa_frame_cache_insert(frames, 0x6000, false, &plain,
		pa_frame_cache_epoch(frames)));
	assert_same_rule(pa_frame_cache_find(frames, 0x6000, false), &plain);
}

static void old_rules_stay_dead_when_the_stored_epoch_wraps(void **unused)
{
	(void)unused;
	struct pa_frame_cache *frames = pa_frame_cache_create();
	assert_true(pa_frame_cache_insert(frames, 0x5000, false, &plain, 0));
	for (int i = 0; i < 4096; i++) {
		pa_frame_cache_new_epoch(frames);
		assert_int_equal(pa_frame_cache_find(frames, 0x5000, false).kind, PA_RULE_NONE);
	}
}

static void overfull_cache_forgets_but_never_lies(void **unused)
{
	(void)unused;
	struct pa_frame_cache *frames = pa_frame_cache_create();
	enum { COUNT = 4 * PA_FRAME_CACHE_ENTRIES };
	srand(1);
	uintptr_t *pcs = malloc(COUNT * sizeof(*pcs));
	for (int i = 0; i < COUNT; i++) {
		pcs[i] = ((uintptr_t)rand() << 16 ^ (uintptr_t)rand()) % PA_ADDRESS_LIMIT;
		struct pa_rule rule = plain;
		rule.cfa_offset = (int32_t)(pcs[i] % 4096) * 8;
		pa_frame_cache_insert(frames, pcs[i], pcs[i] & 1, &rule, 0);
	}
	int known = 0;
	for (int i = 0; i < COUNT; i++) {
		struct pa_rule rule = pa_frame_cache_find(frames, pcs[i], pcs[i] & 1);
		if (rule.kind == PA_RULE_NONE)
			continue;
		assert_int_equal(rule.cfa_offset, (int32_t)(pcs[i] % 4096) * 8);
		known++;
	}
	free(pcs);
	assert_in_range(known, PA_FRAME_CACHE_ENTRIES * 9 / 10, COUNT);
}

/* A made-up stack: word i of it lies at base + 8 i. */
struct memory {
	uintptr_t base;
	uintptr_t words[8];
};

static bool read_memory(void *arg, uintptr_t at, uintptr_t *word)
{
	struct memory *memory = arg;
	if (at < memory->base || at >= memory->base + sizeof(memory->words))
		return false;
	*word = memory->words[(at - memory->base) / 8];
	return true;
}

static void each_kind_of_rule_finds_the_caller(void **unused)
{
	(void)unused;
	struct memory memory = { 0x10000, { 10, 11, 12, 0x10030, 14, 15, 16, 17 } };
	const struct {
		struct pa_rule rule;
		uintptr_t pc, sp, bp;
	} cases[] = {
		{ { PA_RULE_SP, 16, 0, 0 }, 11, 0x10010, 0x10010 },
		{ { PA_RULE_SP, 24, 0, -16 }, 12, 0x10018, 11 },
		{ { PA_RULE_BP, 16, 0, -16 }, 0x10030, 0x10020, 12 },
		{ { PA_RULE_CHAIN, 0, 0, 0 }, 0x10030, 0x10020, 12 },
		{ { PA_RULE_SP_DEREF, 8, 24, 0 }, 16, 0x10038, 0x10010 },
		{ { PA_RULE_BP_DEREF, 0, 8, 0 }, 15, 0x10030, 0x10010 },
		{ { PA_RULE_REALIGNED, 0, 8, 0 }, 15, 0x10030, 12 },
	};
	for (size_t i = 0; i < PA_COUNT(cases); i++) {
		struct pa_cursor cursor = { .pc = 1, .sp = 0x10000, .bp = 0x10010 };
		assert_true(pa_frame_cache_step(&cases[i].rule, &cursor, read_memory, &memory));
		assert_int_equal(cursor.pc, cases[i].pc);
		assert_int_equal(cursor.sp, cases[i].sp);
		assert_int_equal(cursor.bp, cases[i].bp);
	}
}

static void impossible_steps_are_refused(void **unused)
{
	(void)unused;
	struct memory memory = { 0x10000, { 0 } };
	const struct pa_rule rules[] = {
		{ .kind = PA_RULE_SP, .cfa_offset = 0 },                         /* does not grow */
		{ .kind = PA_RULE_SP, .cfa_offset = -8 },                        /* shrinks */
		{ .kind = PA_RULE_BP, .cfa_offset = 16 },                        /* bp below sp */
		{ .kind = PA_RULE_SP, .cfa_offset = 4096 },                      /* unreadable */
		{ .kind = PA_RULE_SP_DEREF, .cfa_offset = 8, .base_offset = 8 }, /* leads to 8 */
		{ .kind = PA_RULE_CHAIN },  /* implausible bp */
		{ .kind = PA_RULE_SIGNAL }, /* no such frame there */
	};
	for (size_t i = 0; i < PA_COUNT(rules); i++) {
		struct pa_cursor cursor = { .pc = 1, .sp = 0x10000, .bp = 0x8000 };
		assert_false(pa_frame_cache_step(&rules[i], &cursor, read_memory, &memory));
	}
	struct pa_cursor crooked = { .pc = 1, .sp = 0x10004, .bp = 0 };
	assert_false(pa_frame_cache_step(&plain, &crooked, read_memory, &memory));
}

static void rules_of_one_kind_are_forgotten(void **unused)
{
	(void)unused;
	const struct pa_rule chain = { .kind = PA_RULE_CHAIN };
	struct pa_frame_cache *frames = pa_frame_cache_create();
	for (uintptr_t i = 0; i < 100; i++)
		pa_frame_cache_insert(frames, 0x401000 + i, i & 2, i & 1 ? &chain : &plain, 0);
	pa_frame_cache_forget_kind(frames, PA_RULE_CHAIN);
	for (uintptr_t i = 0; i < 100; i++)
		assert_int_equal(pa_frame_cache_find(frames, 0x401000 + i, i & 2).kind,
			i & 1 ? PA_RULE_NONE : PA_RULE_SP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_pc_has_no_rule),
		cmocka_unit_test(rule_comes_back_as_it_was_at_all_limits),
		cmocka_unit_test(rule_beyond_a_limit_is_refused),
		cmocka_unit_test(leaf_and_return_address_have_rules_of_their_own),
		cmocka_unit_test(new_epoch_forgets_all_rules),
		cmocka_unit_test(old_rules_stay_dead_when_the_stored_epoch_wraps),
		cmocka_unit_test(overfull_cache_forgets_but_never_lies),
		cmocka_unit_test(each_kind_of_rule_finds_the_caller),
		cmocka_unit_test(impossible_steps_are_refused),
		cmocka_unit_test(rules_of_one_kind_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

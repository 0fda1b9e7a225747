/* SPDX-License-Identifier: Apache-2.0 */
/* Registered unwind tables that are damaged, without an end, or too many. */
#include "test/lib/c/registered_tables.h"

/* ---- damaged tables ---- */

static void damage_ends_a_table_and_is_counted(void **unused)
{
	(void)unused;
	const struct bytes bad_cies[] = { CIE_TO_TEXT, CIE_TO_DATA,
		BYTES(1, 'e', 'h', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x78), BYTES(9, 0, 1, 0x78, 16),
		BYTES(1, 'z', 'R', 0, 1, 0x78, 16, 0x7f), BYTES(1, 'z', 'Q', 0, 1, 0x78, 16, 0),
		BYTES(1) };
	for (size_t i = 0; i < PA_COUNT(bad_cies); i++) {
		uint64_t before = cut();
		uintptr_t begin = put_cie(bad_cies[i]);
		put_fde(begin, made.code, 64, FRAME_48);
		put_end();
		add(begin);
		assert_int_equal(find(made.code + 8), -ENOENT);
		assert_int_equal(cut(), before + 1);
		take(begin);
	}
	/* Functions in front of the damage have rules. */
	uintptr_t begin = put_cie(CIE_ABSOLUTE);
	put_fde(begin, made.code, 64, FRAME_48);
	put_fde(begin, made.code + 0x40, 0, FRAME_48);
	put_fde(begin - 0x10000000, made.code + 0x80, 64, FRAME_48);
	put_fde(begin, (uint8_t *)0x7fffffffffff, 64, FRAME_48);
	put32(0xffffffff);
	uint64_t before = cut();
	add(begin);
	assert_rule(made.code + 8, 48, -16);
	assert_int_equal(find(made.code + 0x48), -ENOENT);
	assert_int_equal(find(made.code + 0x88), -ENOENT);
	assert_int_equal(cut(), before + 4);
}

static void programs_that_harm_libunwind_are_refused(void **unused)
{
	(void)unused;
	/* DW_CFA_register of a register that does not exist; DW_CFA_restore_state without state */
	add(put_one(made.code, BYTES(0x09, 0x7f, 0x7f)));
	add(put_one(made.code + 0x40, BYTES(0x0b)));
	assert_int_equal(find(made.code + 8), -EBADMSG);
	assert_int_equal(find(made.code + 0x48), -EBADMSG);
	assert_int_equal(pa_unwind_learn((uintptr_t)made.code + 8, true).kind, PA_RULE_COMPLEX);
}

/* A program that is cut short would give wrong rules. */
static void entries_that_are_too_long_are_refused(void **unused)
{
	(void)unused;
	static uint8_t nops[70000], cie[2000] = { 1, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1 };
	memcpy(nops, FRAME_48.at, FRAME_48.count);
	add(put_one(made.code, (struct bytes){ 65000, nops }));
	add(put_one(made.code + 0x40, (struct bytes){ 65536, nops }));
	uintptr_t begin = put_cie((struct bytes){ sizeof(cie), cie });
	put_fde(begin, made.code + 0x80, 64, FRAME_48);
	put_end();
	add(begin);
	assert_rule(made.code + 8, 48, -16);
	assert_int_equal(find(made.code + 0x48), -EBADMSG);
	assert_int_equal(find(made.code + 0x88), -ENOENT);
	assert_int_equal(cut(), 1);
}

static void tables_at_the_end_of_memory_are_read_up_to_it(void **unused)
{
	(void)unused;
	made.used = TABLE_BYTES - 18 - 29 - 4;
	uintptr_t whole = put_one(made.code, FRAME_48);
	assert_int_equal(made.used, TABLE_BYTES);
	add(whole);
	assert_rule(made.code + 8, 48, -16);
	assert_int_equal(cut(), 0);
	take(whole);
	/* Without its end. */
	made.used = TABLE_BYTES - 18 - 29;
	uintptr_t begin = put_cie(CIE_ABSOLUTE);
	put_fde(begin, made.code, 64, FRAME_48);
	add(begin);
	assert_rule(made.code + 8, 48, -16);
	assert_int_equal(cut(), 1);
	take(begin);
	/* Nothing there. */
	add((uintptr_t)made.table + TABLE_BYTES);
	add(8);
	add(UINTPTR_MAX - 8);
	assert_int_equal(find(made.code + 8), -ENOENT);
	assert_int_equal(cut(), 4);
}

/* Each byte of a table is damaged in turn: any answer, and no fault. */
static void any_damage_is_survived(void **unused)
{
	(void)unused;
	uintptr_t begin = put_cie(CIE_RELATIVE);
	put_relative_fde(begin, made.code, 64, FRAME_48);
	put_end();
	size_t bytes = made.used;
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	for (size_t i = 0; i < bytes * PA_COUNT(values); i++) {
		uint8_t *byte = &made.table[i / PA_COUNT(values)], had = *byte;
		*byte = values[i % PA_COUNT(values)];
		add(begin);
		for (size_t pc = 0; pc < 64; pc += 5) {
			pa_registered_event(++made.now_ns);
			pa_unwind_learn((uintptr_t)made.code + pc, true);
		}
		take(begin);
		*byte = had;
	}
}

/* ---- sizes ---- */

static void many_tables_are_found(void **unused)
{
	(void)unused;
	enum { MANY = 10000 };
	uint8_t *code = map_made(MANY * 64, PROT_READ | PROT_WRITE | PROT_EXEC);
	uintptr_t begins[MANY];
	for (size_t i = 0; i < MANY; i++) {
		size_t at = i * 7919 % MANY; /* in no order */
		begins[at] = put_one(code + at * 64, at & 1 ? FRAME_48 : FRAME_80);
		add(begins[at]);
		if (i % 1000 == 0)
			assert_int_equal(find(code + at * 64 + 8), 0);
	}
	for (size_t i = 0; i < MANY; i += 7)
		assert_rule(code + i * 64 + 8, i & 1 ? 48 : 80, i & 1 ? -16 : 0);
	for (size_t i = 0; i < MANY; i += 2)
		take(begins[i]);
	for (size_t i = 0; i < MANY; i += 99)
		assert_int_equal(find(code + i * 64 + 8), i & 1 ? 0 : -ENOENT);
	munmap(code, MANY * 64);
}

static void too_many_functions_are_counted(void **unused)
{
	(void)unused;
	const size_t fde_bytes = 4 + 4 + 16 + 5, more = 100;
	const size_t functions = PA_REGISTERED_ROWS + more;
	size_t bytes = functions * fde_bytes + 4096;
	uint8_t *table = map_made(bytes, PROT_READ | PROT_WRITE), *had = made.table;
	uint8_t *code = map_made(functions, PROT_READ | PROT_WRITE | PROT_EXEC);
	made.table = table;
	uintptr_t begin = put_cie(CIE_ABSOLUTE);
	uint8_t *at = table + made.used;
	for (size_t i = 0; i < functions; i++, at += fde_bytes) {
		made.table = at;
		made.used = 0;
		put_fde(begin, code + i, 1, FRAME_48);
	}
	made.table = had;
	made.used = 0;
	add(begin);
	assert_int_equal(find(code + PA_REGISTERED_ROWS - 1), 0);
	assert_int_equal(find(code + PA_REGISTERED_ROWS), -ENOENT);
	assert_int_equal(cut(), 1);
	take(begin);
	/* There is room again. */
	uintptr_t other = put_one(made.code, FRAME_48);
	add(other);
	assert_int_equal(find(made.code + 8), 0);
	munmap(table, bytes);
	munmap(code, functions);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLES_TEST(damage_ends_a_table_and_is_counted),
		TABLES_TEST(programs_that_harm_libunwind_are_refused),
		TABLES_TEST(entries_that_are_too_long_are_refused),
		TABLES_TEST(tables_at_the_end_of_memory_are_read_up_to_it),
		TABLES_TEST(any_damage_is_survived),
		TABLES_TEST(many_tables_are_found),
		TABLES_TEST(too_many_functions_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of registered.c: unwind tables made by hand, in memory of their own, for code in no
 * file, and a clock that goes on with each call.
 */
#ifndef REGISTERED_TABLES_H
#define REGISTERED_TABLES_H

#include "test/lib/c/unwind_stack.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/unwind/cfi.h"
#include "agent/unwind/registered.h"

enum { CODE_BYTES = 1 << 16, TABLE_BYTES = 1 << 20 };

static struct pa_unwind_tables tables;
static struct pa_counters counters;
static struct pa_cfi cfi;
static struct {
	uint8_t *code;  /* executable, of no file */
	uint8_t *table; /* with an unreadable page behind it */
	size_t used;    /* bytes of table */
	int64_t now_ns;
} made;

static void *map_made(size_t bytes, int protection)
{
	void *memory = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	return memory;
}

static int setup_tables(void **unused)
{
	(void)unused;
	memset(&tables, 0, sizeof(tables));
	memset(&counters, 0, sizeof(counters));
	pa_unwind_init();
	pa_registered_init(&tables, &counters);
	made.code = map_made(CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC);
	made.table = map_made(TABLE_BYTES + 4096, PROT_READ | PROT_WRITE);
	assert_int_equal(mprotect(made.table + TABLE_BYTES, 4096, PROT_NONE), 0);
	made.used = 0;
	run.frames = pa_frame_cache_create();
	run.max = PCS;
	run.copy_bytes = COPY_BYTES;
	made.now_ns += 1000;
	pa_registered_event(made.now_ns);
	return 0;
}

/* ---- tables ---- */

static uintptr_t put(const void *bytes, size_t count)
{
	uintptr_t at = (uintptr_t)made.table + made.used;
	assert_true(made.used + count <= TABLE_BYTES);
	memcpy(made.table + made.used, bytes, count);
	made.used += count;
	return at;
}

static uintptr_t put32(uint32_t value)
{
	return put(&value, sizeof(value));
}

/* version, augmentation, code 1, data -8, return address 16, cfa = sp + 8 */
#define CIE_ABSOLUTE BYTES(1, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1)
#define CIE_RELATIVE BYTES(1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1)
#define CIE_TO_TEXT BYTES(1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x2b, 0x0c, 7, 8, 0x90, 1)
#define CIE_TO_DATA BYTES(1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x3b, 0x0c, 7, 8, 0x90, 1)

/* From the 5th byte on cfa = sp + 48, the caller's bp at cfa - 16. */
#define FRAME_48 BYTES(0x44, 0x0e, 48, 0x86, 2)
#define FRAME_80 BYTES(0x44, 0x0e, 80)

static uintptr_t put_cie(struct bytes cie)
{
	uintptr_t at = put32((uint32_t)cie.count + 4);
	put32(0);
	put(cie.at, cie.count);
	return at;
}

static uintptr_t put_fde(uintptr_t cie, const uint8_t *start, uint64_t bytes, struct bytes program)
{
	uint64_t range[] = { (uintptr_t)start, bytes };
	uintptr_t at = put32((uint32_t)(4 + sizeof(range) + program.count));
	put32((uint32_t)(at + 4 - cie));
	put(range, sizeof(range));
	put(program.at, program.count);
	return at;
}

static inline void put_relative_fde(uintptr_t cie, const uint8_t *start, uint32_t bytes,
	struct bytes program)
{
	uintptr_t at = put32((uint32_t)(4 + 8 + 1 + program.count));
	put32((uint32_t)(at + 4 - cie));
	put32((uint32_t)((uintptr_t)start - (at + 8)));
	put32(bytes);
	put("", 1);
	put(program.at, program.count);
}

static void put_end(void)
{
	put32(0);
}

/* One function of 64 bytes; the address of its table. */
static inline uintptr_t put_one(const uint8_t *start, struct bytes program)
{
	uintptr_t begin = put_cie(CIE_ABSOLUTE);
	put_fde(begin, start, 64, program);
	put_end();
	return begin;
}

static void add(uintptr_t begin)
{
	assert_true(pa_unwind_tables_add(&tables, begin, false, ++made.now_ns));
}

static inline bool take(uintptr_t begin)
{
	return pa_unwind_tables_remove(&tables, begin, ++made.now_ns);
}

/* As a stack that is recorded now. */
static int find(const uint8_t *pc)
{
	pa_registered_event(++made.now_ns);
	return pa_cfi_find(&cfi, (uintptr_t)pc);
}

/* Empties the index, and lets the next test begin with a count of registrations that it has not
 * seen. */
static int drop_tables(void **unused)
{
	static uint64_t adds;
	static uint32_t end;
	(void)unused;
	struct pa_unwind_tables_slot *slots = pa_load_relaxed(&tables.slots);
	for (size_t i = 0; slots && i < PA_UNWIND_TABLES_SLOTS; i++)
		if (pa_load_relaxed(&slots[i].state) & PA_UNWIND_TABLES_FILLED)
			take(pa_load_relaxed(&slots[i].begin));
	adds += 1 << 20;
	pa_store_relaxed(&tables.adds, adds);
	add((uintptr_t)&end);
	assert_int_equal(find(made.code), -ENOENT);
	take((uintptr_t)&end);
	pa_registered_init(NULL, NULL);
	munmap(made.code, CODE_BYTES);
	munmap(made.table, TABLE_BYTES + 4096);
	return 0;
}

static inline void assert_rule(const uint8_t *pc, int cfa_offset, int bp_offset)
{
	pa_registered_event(++made.now_ns);
	struct pa_rule rule = pa_unwind_learn((uintptr_t)pc, true);
	assert_int_equal(rule.kind, PA_RULE_SP);
	assert_int_equal(rule.cfa_offset, cfa_offset);
	assert_int_equal(rule.bp_offset, bp_offset);
}

static inline uint64_t cut(void)
{
	return pa_load_relaxed(&counters.unwind_tables_cut);
}

#define TABLES_TEST(name) cmocka_unit_test_setup_teardown(name, setup_tables, drop_tables)

#endif

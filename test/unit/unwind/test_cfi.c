/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/unwind_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "agent/unwind/cfi.h"

static struct pa_cfi cfi;

static int find_in(struct bytes cie, struct bytes program)
{
	uint8_t *image = image_make(cie, program);
	int error = pa_cfi_find(&cfi, (uintptr_t)image + IMAGE_TEXT_AT + 0x10);
	image_drop(image);
	return error;
}

static void function_of_libc_is_found_and_copied(void **arg)
{
	(void)arg;
	uintptr_t pc = (uintptr_t)qsort;
	uint64_t word;
	assert_int_equal(pa_cfi_find(&cfi, pc + 1), 0);
	assert_true(cfi.start <= pc && cfi.limit > pc + 1);
	assert_false(cfi.signal_frame);
	assert_true(pa_cfi_word(&cfi, cfi.fde.from, &word));
	assert_int_equal(word, *(uint64_t *)cfi.fde.from);
	assert_true(pa_cfi_word(&cfi, cfi.cie.limit - 8, &word));
	assert_int_equal(word, *(uint64_t *)(cfi.cie.limit - 8));
	assert_false(pa_cfi_word(&cfi, cfi.fde.limit, &word));
	assert_false(pa_cfi_word(&cfi, cfi.cie.from - 8, &word));
	assert_false(pa_cfi_word(&cfi, cfi.fde.from + 1, &word));
}

static void data_and_wild_addresses_have_none(void **arg)
{
	(void)arg;
	uint64_t word;
	assert_int_equal(pa_cfi_find(&cfi, 0), -ENOENT);
	assert_int_equal(pa_cfi_find(&cfi, UINTPTR_MAX), -ENOENT);
	assert_int_equal(pa_cfi_find(&cfi, (uintptr_t)&word), -ENOENT);
	assert_false(pa_cfi_word(&cfi, cfi.fde.from, &word));
	assert_false(pa_cfi_word(&cfi, 0, &word));
}

static void vdso_is_found_by_its_own_headers(void **arg)
{
	(void)arg;
	uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
	if (!vdso)
		skip();
	unsigned found = 0;
	for (uintptr_t pc = vdso; pa_maps_find(pc) && pc < vdso + 0x2000; pc += 16)
		found += pa_cfi_find(&cfi, pc) == 0 && cfi.header - vdso < 0x2000;
	assert_in_range(found, 10, 0x200);
}

static void image_that_the_loader_does_not_know_is_read(void **arg)
{
	(void)arg;
	uint8_t *image = image_make(CIE_PLAIN, BYTES(0));
	uintptr_t text = (uintptr_t)image + IMAGE_TEXT_AT;
	assert_int_equal(pa_cfi_find(&cfi, text), 0);
	assert_int_equal(cfi.start, text);
	assert_int_equal(cfi.limit, text + IMAGE_TEXT_BYTES);
	assert_int_equal(cfi.header, (uintptr_t)image + IMAGE_HEADER_AT);
	assert_int_equal(pa_cfi_find(&cfi, text + IMAGE_TEXT_BYTES - 1), 0);
	assert_int_equal(pa_cfi_find(&cfi, text + IMAGE_TEXT_BYTES), -ENOENT);
	assert_int_equal(pa_cfi_find(&cfi, text - 1), -ENOENT);
	fake.image.is_elf = false;
	assert_int_equal(pa_cfi_find(&cfi, text), -ENOENT);
	image_drop(image);
}

static void program_of_all_plain_operations_passes(void **arg)
{
	(void)arg;
	/* advances, offsets, restores, remember and restore state, def_cfa in all forms, an
	 * expression as in a PLT, and as where gcc realigns the stack. */
	assert_int_equal(find_in(CIE_PLAIN,
				 BYTES(0x41, 0x02, 1, 0x03, 1, 0, 0x04, 1, 0, 0, 0, 0x86, 2, 0x05,
					 3, 4, 0xc6, 0x06, 3, 0x07, 16, 0x08, 6, 0x09, 6, 0, 0x0a,
					 0x0b, 0x0c, 7, 16, 0x0d, 6, 0x0e, 0x80, 1, 0x11, 6, 0x7e,
					 0x12, 7, 0x7e, 0x13, 0x7e, 0x2e, 0)),
		0);
	assert_int_equal(find_in(CIE_PLAIN,
				 BYTES(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33,
					 0x24, 0x22)),
		0);
	assert_int_equal(find_in(CIE_PLAIN, BYTES(0x0f, 3, 0x76, 0x78, 6, 0x10, 6, 2, 0x76, 0)), 0);
	assert_int_equal(find_in(CIE_PLAIN, BYTES(0x16, 6, 2, 0x76, 0)), 0);
}

/* Instructions on vector registers, in the words that libunwind reads; the others stay. */
static void rules_of_vector_registers_are_overwritten(void **arg)
{
	(void)arg;
	static const uint8_t seen[30] = { 0x41, 0x0e, 16, [26] = 0x86, 2, 0x0d, 6 };
	assert_int_equal(find_in(CIE_PLAIN,
				 BYTES(0x41, 0x0e, 16, 0x97, 4, 0x98, 0x81, 1, 0xd7, 0x05, 32, 4,
					 0x06, 17, 0x07, 17, 0x08, 17, 0x09, 17, 6, 0x10, 17, 1,
					 0x30, 0x00, 0x86, 2, 0x0d, 6)),
		0);
	uint8_t copy[256];
	size_t bytes = 0;
	for (uint64_t word; bytes < sizeof(copy) && pa_cfi_word(&cfi, cfi.fde.from + bytes, &word);
		bytes += sizeof(word))
		memcpy(copy + bytes, &word, sizeof(word));
	assert_non_null(memmem(copy, bytes, seen, sizeof(seen)));
}

/* What would make libunwind read outside of its arrays, trap, loop, or lose its place. */
static void program_that_hurts_libunwind_is_refused(void **arg)
{
	(void)arg;
	const struct bytes programs[] = {
		BYTES(0x09, 6, 0xc8, 1), /* register: rbp in register 200 */
		BYTES(0x0c, 17, 8),      /* def_cfa: by one it has no room for */
		BYTES(0x0d, 17),         /* def_cfa_register: the same */
		BYTES(0x14, 6, 1),       /* val_offset */
		BYTES(0x15, 6, 1),       /* val_offset_sf */
		BYTES(0x01, 0, 0, 0, 0), /* set_loc */
		BYTES(0x1d, 0, 0, 0, 0), /* MIPS_advance_loc8 */
		BYTES(0x2d),             /* GNU_window_save */
		BYTES(0x3f),             /* nothing */
		BYTES(0x0b),             /* restore_state without remember */
		BYTES(0x0a, 0x0b, 0x0b), /* one too many */
		BYTES(0x0e, 0x80),       /* operand cut off */
		BYTES(0x0e, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
		BYTES(0x04, 1, 2),          /* operand cut off */
		BYTES(0x0f, 3, 0x76, 0x78), /* expression longer than the program */
		BYTES(0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x30),
		BYTES(0x0f, 3, 0x30, 0x30, 0x1b),       /* division */
		BYTES(0x0f, 4, 0x30, 0x28, 0xfc, 0xff), /* branch */
		BYTES(0x0f, 3, 0x2f, 0xfd, 0xff),       /* skip, to itself */
		BYTES(0x0f, 1, 0x57),                   /* reg7 */
		BYTES(0x0f, 2, 0x90, 7),                /* regx */
		BYTES(0x0f, 3, 0x92, 7, 8),             /* bregx */
		BYTES(0x0f, 2, 0x81, 0),                /* breg17 */
		BYTES(0x0f, 2, 0x77, 0x80),             /* operand longer than the expression */
		BYTES(0x10, 6, 1, 0xff),                /* unknown operation */
	};
	for (unsigned i = 0; i < PA_COUNT(programs); i++)
		if (find_in(CIE_PLAIN, programs[i]) != -EBADMSG)
			fail_msg("program %u was not refused", i);
}

static void states_are_remembered_to_a_limit(void **arg)
{
	(void)arg;
	uint8_t program[33];
	memset(program, 0x0a, sizeof(program));
	assert_int_equal(find_in(CIE_PLAIN, (struct bytes){ 32, program }), 0);
	assert_int_equal(find_in(CIE_PLAIN, (struct bytes){ 33, program }), -EBADMSG);
}

static void odd_cie_is_refused(void **arg)
{
	(void)arg;
	const struct bytes cies[] = {
		/* not a CIE; version 2, 4; return address in register 5, 200 */
		BYTES(1, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1),
		BYTES(0, 0, 0, 0, 2, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1),
		BYTES(0, 0, 0, 0, 4, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1),
		BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 5, 1, 0x1b, 0x0c, 7, 8, 0x90, 1),
		BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 200, 1, 0x1b, 0x0c, 7, 8, 0x90, 1),
		/* unknown letter; no z; size too large, too small, beyond the end; letters that
		 * libunwind does not read; string without end */
		BYTES(0, 0, 0, 0, 1, 'z', 'Q', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1),
		BYTES(0, 0, 0, 0, 1, 'R', 0, 1, 0x78, 16, 0x1b, 0x0c, 7, 8, 0x90, 1),
		BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 2, 0x1b, 0, 0x0c, 7, 8, 0x90, 1),
		BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 0, 0x1b, 0x0c, 7, 8, 0x90, 1),
		BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 90, 0x1b, 0x0c, 7, 8, 0x90, 1),
		BYTES(0, 0, 0, 0, 1, 'z', 'S', 'S', 'S', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8),
		BYTES(0, 0, 0, 0, 1, 'z', 'R', 'R', 'R'),
		/* indirect, data-relative, two-byte and aligned pointers */
		BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x9b, 0x0c, 7, 8, 0x90, 1),
		BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x3b, 0x0c, 7, 8, 0x90, 1),
		BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1a, 0x0c, 7, 8, 0x90, 1),
		BYTES(0, 0, 0, 0, 1, 'z', 'R', 'P', 0, 1, 0x78, 16, 10, 0x1b, 0x50, 0, 0, 0, 0, 0,
			0, 0, 0, 0x0c, 7, 8, 0x90, 1),
	};
	for (unsigned i = 0; i < PA_COUNT(cies); i++)
		if (find_in(cies[i], BYTES(0)) != -EBADMSG)
			fail_msg("CIE %u was not refused", i);
}

/* The CIE of libc's signal trampoline is empty, its FDE says all; nowhere may nothing be said. */
static void cfa_must_have_a_rule_everywhere(void **arg)
{
	(void)arg;
	struct bytes empty = BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0, 0, 0);
	struct bytes late =
		BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0a, 0x0c, 7, 8, 0x0b);
	assert_int_equal(find_in(empty, BYTES(0x0c, 7, 8, 0x41, 0x0e, 16)), 0);
	assert_int_equal(find_in(empty, BYTES(0x90, 1)), -EBADMSG);
	assert_int_equal(find_in(empty, BYTES(0x41, 0x0c, 7, 8)), -EBADMSG);
	assert_int_equal(find_in(empty, BYTES(0x04, 0, 0, 0, 1, 0x0c, 7, 8)), -EBADMSG);
	assert_int_equal(find_in(empty, BYTES(0x0d, 6, 0x0e, 8)), -EBADMSG);
	assert_int_equal(find_in(empty, BYTES(0x0a, 0x0c, 7, 8, 0x0b)), -EBADMSG);
	assert_int_equal(find_in(late, BYTES(0)), -EBADMSG);
}

static void augmentations_of_compilers_pass(void **arg)
{
	(void)arg;
	/* C++: a personality routine through a pointer, and an LSDA (the FDE has none here). */
	assert_int_equal(find_in(BYTES(0, 0, 0, 0, 1, 'z', 'P', 'L', 'R', 0, 1, 0x78, 16, 7, 0x9b,
					 1, 2, 3, 4, 0xff, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0),
				 BYTES(0)),
		0);
	assert_int_equal(find_in(BYTES(0, 0, 0, 0, 3, 'z', 'R', 'S', 0, 1, 0x78, 16, 1, 0x1b, 0x0c,
					 7, 8, 0x90, 1, 0, 0),
				 BYTES(0)),
		0);
	assert_true(cfi.signal_frame);
	assert_int_equal(find_in(CIE_PLAIN, BYTES(0)), 0);
	assert_false(cfi.signal_frame);
}

static void entry_lengths_are_checked(void **arg)
{
	(void)arg;
	static const uint32_t lengths[] = { 0, 1, 3, 12, PA_CFI_FDE_BYTES, UINT32_MAX - 1,
		UINT32_MAX };
	uint8_t *image = image_make(CIE_PLAIN, BYTES(0, 0, 0));
	uintptr_t text = (uintptr_t)image + IMAGE_TEXT_AT;
	assert_int_equal(pa_cfi_find(&cfi, text), 0);
	for (unsigned i = 0; i < PA_COUNT(lengths); i++) {
		image_put32(image, IMAGE_FDE_AT, lengths[i]);
		if (pa_cfi_find(&cfi, text) != -EBADMSG)
			fail_msg("FDE of %u bytes was not refused", lengths[i]);
	}
	image_put32(image, IMAGE_FDE_AT, PA_CFI_FDE_BYTES - 8);
	assert_int_equal(pa_cfi_find(&cfi, text), 0);
	image_put32(image, IMAGE_CIE_AT, PA_CFI_CIE_BYTES - 8);
	assert_int_equal(pa_cfi_find(&cfi, text), 0);
	image_put32(image, IMAGE_CIE_AT, PA_CFI_CIE_BYTES);
	assert_int_equal(pa_cfi_find(&cfi, text), -EBADMSG);
	image_drop(image);
}

static void table_that_lies_costs_few_reads(void **arg)
{
	(void)arg;
	uint8_t *image = image_make(CIE_PLAIN, BYTES(0));
	for (size_t at = IMAGE_HEADER_AT + 12; at < IMAGE_TEXT_AT; at += 4)
		image_put32(image, at, (uint32_t)(at * 2654435761u));
	image_put32(image, IMAGE_HEADER_AT + 8, UINT32_MAX);
	fake.reads = 0;
	assert_true(pa_cfi_find(&cfi, (uintptr_t)image + IMAGE_TEXT_AT) < 0);
	assert_in_range(fake.reads, 4, 60);
	image_drop(image);
}

static void tables_of_other_kinds_are_none(void **arg)
{
	(void)arg;
	uint8_t *image = image_make(CIE_PLAIN, BYTES(0));
	uintptr_t text = (uintptr_t)image + IMAGE_TEXT_AT;
	for (unsigned i = 0; i < 4; i++) {
		uint8_t kept = image[IMAGE_HEADER_AT + i];
		image[IMAGE_HEADER_AT + i] = 0xff;
		assert_int_equal(pa_cfi_find(&cfi, text), -ENOENT);
		image[IMAGE_HEADER_AT + i] = kept;
	}
	assert_int_equal(pa_cfi_find(&cfi, text), 0);
	image_drop(image);
}

static void tables_that_vanish_are_an_error(void **arg)
{
	(void)arg;
	uint8_t *image = image_make(CIE_PLAIN, BYTES(0));
	uintptr_t text = (uintptr_t)image + IMAGE_TEXT_AT;
	assert_int_equal(mprotect(image + IMAGE_CIE_AT, 0x1000, PROT_NONE), 0);
	assert_int_equal(pa_cfi_find(&cfi, text), -EBADMSG);
	assert_int_equal(mprotect(image, 0x1000, PROT_NONE), 0);
	assert_int_equal(pa_cfi_find(&cfi, text), -ENOENT);
	image_drop(image);
}

static int setup(void **arg)
{
	(void)arg;
	pa_cfi_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(function_of_libc_is_found_and_copied),
		cmocka_unit_test(data_and_wild_addresses_have_none),
		cmocka_unit_test(vdso_is_found_by_its_own_headers),
		cmocka_unit_test(image_that_the_loader_does_not_know_is_read),
		cmocka_unit_test(program_of_all_plain_operations_passes),
		cmocka_unit_test(rules_of_vector_registers_are_overwritten),
		cmocka_unit_test(program_that_hurts_libunwind_is_refused),
		cmocka_unit_test(states_are_remembered_to_a_limit),
		cmocka_unit_test(odd_cie_is_refused),
		cmocka_unit_test(cfa_must_have_a_rule_everywhere),
		cmocka_unit_test(augmentations_of_compilers_pass),
		cmocka_unit_test(entry_lengths_are_checked),
		cmocka_unit_test(table_that_lies_costs_few_reads),
		cmocka_unit_test(tables_of_other_kinds_are_none),
		cmocka_unit_test(tables_that_vanish_are_an_error),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}

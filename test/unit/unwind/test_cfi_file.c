/* SPDX-License-Identifier: Apache-2.0 */
/* Call frame information that is only in a module's file: sections made by hand. */
#include "test/lib/c/unwind_fixture.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/base/arena.h"
#include "agent/unwind/cfi.h"
#include "agent/unwind/cfi_file.h"
#include "agent/unwind/unwind.h"

enum { SECTION_AT = 0x18000, TEXT_AT = 0x10000 + IMAGE_TEXT_AT, SECTION_BYTES = 4096 };

/* What the file has: NULL = no such section. */
static struct {
	const char *name;
	uint8_t bytes[SECTION_BYTES];
	size_t size;
	int loads;
} file;

static bool load_made_up(const struct pa_module *module, const char *name,
	struct pa_cfi_section *section)
{
	assert_ptr_equal(module, &fake.image);
	file.loads++;
	if (!file.name || strcmp(name, file.name) != 0)
		return false;
	*section = (struct pa_cfi_section){
		.bytes = pa_map(file.size), .size = file.size, .address = SECTION_AT
	};
	assert_non_null(section->bytes);
	memcpy(section->bytes, file.bytes, file.size);
	return true;
}

static struct pa_cfi cfi;
static uint8_t *image;

static int setup_image(void **arg)
{
	(void)arg;
	file.name = NULL;
	file.size = 0;
	file.loads = 0;
	image = image_make(CIE_PLAIN, BYTES(0));
	memset(image + IMAGE_HEADER_AT, 0, 64); /* no search table */
	fake.image.bias = (uintptr_t)image - 0x10000;
	pa_cfi_file_reset();
	pa_cfi_file_init(load_made_up);
	return pa_unwind_init();
}

static int drop_image(void **arg)
{
	(void)arg;
	image_drop(image);
	return 0;
}

static void put(const void *bytes, size_t count)
{
	assert_true(file.size + count <= SECTION_BYTES);
	memcpy(file.bytes + file.size, bytes, count);
	file.size += count;
}

/* Returns the offset of the entry. */
static uint32_t put_entry(uint32_t id, const struct bytes *parts, size_t count)
{
	uint32_t at = (uint32_t)file.size, length = sizeof(id);
	for (size_t i = 0; i < count; i++)
		length += (uint32_t)parts[i].count;
	put(&length, sizeof(length));
	put(&id, sizeof(id));
	for (size_t i = 0; i < count; i++)
		put(parts[i].at, parts[i].count);
	return at;
}

static uint32_t put_cie(uint32_t id, struct bytes cie)
{
	return put_entry(id, &cie, 1);
}

static void put_debug_fde(uint32_t cie_at, uint64_t start, uint64_t bytes, struct bytes program)
{
	const uint64_t range[] = { start, bytes };
	put_entry(cie_at, (struct bytes[]){ { sizeof(range), (const uint8_t *)range }, program },
		2);
}

/* version, augmentation, (sizes), code 1, data -8, return address 16, cfa = sp + 8 */
#define CIE_1 BYTES(1, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1)
#define CIE_3 BYTES(3, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1)
#define CIE_4 BYTES(4, 0, 8, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1)
#define CIE_EH BYTES(1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1)

/* From the 5th byte on cfa = sp + 48, the caller's bp at cfa - 16. */
#define FRAME_48 BYTES(0x44, 0x0e, 48, 0x86, 2)

static void assert_frames(uintptr_t text)
{
	struct pa_rule rule = pa_unwind_learn(text + 2, true);
	assert_int_equal(rule.kind, PA_RULE_SP);
	assert_int_equal(rule.cfa_offset, 8);
	rule = pa_unwind_learn(text + 9, false);
	assert_int_equal(rule.kind, PA_RULE_SP);
	assert_int_equal(rule.cfa_offset, 48);
	assert_int_equal(rule.bp_offset, -16);
}

static void debug_frame_of_each_version_is_read(void **arg)
{
	(void)arg;
	const struct bytes versions[] = { CIE_1, CIE_3, CIE_4 };
	for (size_t i = 0; i < PA_COUNT(versions); i++) {
		file.name = ".debug_frame";
		file.size = 0;
		pa_cfi_file_reset();
		/* Not in the order of their addresses. */
		uint32_t cie = put_cie(0xffffffff, versions[i]);
		put_debug_fde(cie, TEXT_AT + 0x203, 0x40, FRAME_48);
		put_debug_fde(cie, TEXT_AT + 0x100, 0x100, FRAME_48);
		uintptr_t text = (uintptr_t)image + IMAGE_TEXT_AT;
		assert_int_equal(pa_cfi_find(&cfi, text + 0x180), 0);
		assert_int_equal(cfi.start, text + 0x100);
		assert_int_equal(cfi.limit, text + 0x200);
		assert_false(cfi.signal_frame);
		assert_int_equal(pa_cfi_find(&cfi, text + 0xff), -ENOENT);
		assert_int_equal(pa_cfi_find(&cfi, text + 0x201), -ENOENT);
		assert_int_equal(pa_cfi_find(&cfi, text + 0x243), -ENOENT);
		assert_frames(text + 0x100);
		assert_frames(text + 0x203);
	}
}

static void eh_frame_without_a_search_table_is_read(void **arg)
{
	(void)arg;
	Elf64_Phdr none = { .p_type = PT_NULL };
	memcpy(image + sizeof(Elf64_Ehdr) + sizeof(none), &none, sizeof(none));
	file.name = ".eh_frame";
	uint32_t cie = put_cie(0, CIE_EH);
	uint32_t at = (uint32_t)file.size;
	const int32_t range[] = { TEXT_AT + 0x100 - (int32_t)(SECTION_AT + at + 8), 0x80 };
	put_entry(at + 4 - cie,
		(struct bytes[]){ { sizeof(range), (const uint8_t *)range }, BYTES(0), FRAME_48 },
		3);
	put("\0\0\0", 4); /* the end */
	assert_int_equal(pa_cfi_find(&cfi, (uintptr_t)image + IMAGE_TEXT_AT + 0x110), 0);
	assert_frames((uintptr_t)image + IMAGE_TEXT_AT + 0x100);
}

static void signal_frames_are_told(void **arg)
{
	(void)arg;
	file.name = ".debug_frame";
	uint32_t cie =
		put_cie(0xffffffff, BYTES(1, 'z', 'S', 0, 1, 0x78, 16, 0, 0x0c, 7, 8, 0x90, 1));
	const uint64_t range[] = { TEXT_AT, 0x80 };
	put_entry(cie,
		(struct bytes[]){ { sizeof(range), (const uint8_t *)range }, BYTES(0), FRAME_48 },
		3);
	assert_int_equal(pa_cfi_find(&cfi, (uintptr_t)image + IMAGE_TEXT_AT + 1), 0);
	assert_true(cfi.signal_frame);
	assert_frames((uintptr_t)image + IMAGE_TEXT_AT);
}

static void file_is_asked_once(void **arg)
{
	(void)arg;
	uintptr_t text = (uintptr_t)image + IMAGE_TEXT_AT;
	for (int i = 0; i < 10; i++)
		assert_int_equal(pa_cfi_find(&cfi, text + (uintptr_t)i), -ENOENT);
	/* Its .eh_frame has a header, which the loader uses. */
	assert_int_equal(file.loads, 1);
	pa_cfi_file_reset();
	assert_int_equal(pa_cfi_find(&cfi, text), -ENOENT);
	assert_int_equal(file.loads, 2);
}

static void program_that_hurts_libunwind_is_refused(void **arg)
{
	(void)arg;
	const struct bytes programs[] = {
		BYTES(0x09, 100, 101),           /* a register that does not exist */
		BYTES(0x16, 6, 3, 0x11, 1, 0x1b) /* a division */
	};
	for (size_t i = 0; i < PA_COUNT(programs); i++) {
		file.name = ".debug_frame";
		file.size = 0;
		pa_cfi_file_reset();
		put_debug_fde(put_cie(0xffffffff, CIE_1), TEXT_AT, 0x80, programs[i]);
		assert_int_equal(pa_cfi_find(&cfi, (uintptr_t)image + IMAGE_TEXT_AT), -EBADMSG);
	}
	/* Another return address, and too long a program. */
	static const uint8_t long_program[2000];
	file.size = 0;
	pa_cfi_file_reset();
	put_debug_fde(put_cie(0xffffffff, BYTES(1, 0, 1, 0x78, 15, 0x0c, 7, 8)), TEXT_AT, 0x80,
		FRAME_48);
	assert_int_equal(pa_cfi_find(&cfi, (uintptr_t)image + IMAGE_TEXT_AT), -EBADMSG);
	file.size = 0;
	pa_cfi_file_reset();
	uint32_t cie = put_entry(0xffffffff,
		(struct bytes[]){ CIE_1, { sizeof(long_program), long_program } }, 2);
	put_debug_fde(cie, TEXT_AT, 0x80, FRAME_48);
	assert_int_equal(pa_cfi_find(&cfi, (uintptr_t)image + IMAGE_TEXT_AT), -EBADMSG);
}

/* Each byte of a good section changed to random ones: an answer, and no read outside. */
static void broken_sections_do_no_harm(void **arg)
{
	(void)arg;
	enum { ROUNDS = 3000 };
	uint8_t good[SECTION_BYTES];
	srand(1);
	for (int round = 0; round < ROUNDS; round++) {
		bool is_debug = round % 2;
		file.name = is_debug ? ".debug_frame" : ".eh_frame";
		file.size = 0;
		pa_cfi_file_reset();
		uint32_t cie = put_cie(is_debug ? 0xffffffff : 0, is_debug ? CIE_4 : CIE_EH);
		put_debug_fde(is_debug ? cie : (uint32_t)file.size + 4 - cie, TEXT_AT, 0x80,
			FRAME_48);
		put_debug_fde(is_debug ? cie : (uint32_t)file.size + 4 - cie, TEXT_AT + 0x80, 0x80,
			FRAME_48);
		memcpy(good, file.bytes, file.size);
		for (int i = rand() % 4; i >= 0; i--)
			file.bytes[(size_t)rand() % file.size] = (uint8_t)rand();
		/* To the end of the page: what is read behind it ends the test. */
		for (int at = -1; at < 0x101; at += 0x41) {
			struct pa_rule rule =
				pa_unwind_learn((uintptr_t)image + IMAGE_TEXT_AT + (uintptr_t)at,
					true);
			assert_int_not_equal(rule.kind, PA_RULE_NONE);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(debug_frame_of_each_version_is_read, setup_image,
			drop_image),
		cmocka_unit_test_setup_teardown(eh_frame_without_a_search_table_is_read,
			setup_image, drop_image),
		cmocka_unit_test_setup_teardown(signal_frames_are_told, setup_image, drop_image),
		cmocka_unit_test_setup_teardown(file_is_asked_once, setup_image, drop_image),
		cmocka_unit_test_setup_teardown(program_that_hurts_libunwind_is_refused,
			setup_image, drop_image),
		cmocka_unit_test_setup_teardown(broken_sections_do_no_harm, setup_image,
			drop_image),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

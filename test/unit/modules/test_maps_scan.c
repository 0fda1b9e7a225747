/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>

#include "agent/modules/maps_scan.h"
#include "test/lib/c/maps_fixture.h"

/* ---------------------------------------------------------------- images made by hand */

struct fake {
	Elf64_Ehdr header;
	Elf64_Phdr phdrs[4];
	struct {
		Elf64_Nhdr head;
		char name[4];
		uint8_t id[20];
	} note;
};

/* r--, r-x, rw- of one page each and a hole before a second r-x, linked at 0x400000. */
static void make_image(struct fake *fake, uint8_t id)
{
	memset(fake, 0, sizeof(*fake));
	memcpy(fake->header.e_ident, ELFMAG, SELFMAG);
	fake->header.e_ident[EI_CLASS] = ELFCLASS64;
	fake->header.e_ident[EI_DATA] = ELFDATA2LSB;
	fake->header.e_type = ET_DYN;
	fake->header.e_phoff = offsetof(struct fake, phdrs);
	fake->header.e_phentsize = sizeof(Elf64_Phdr);
	fake->header.e_phnum = 4;
	for (int i = 0; i < 3; i++)
		fake->phdrs[i] = (Elf64_Phdr){ .p_type = PT_LOAD,
			.p_flags = i == 0 ? PF_R : PF_X,
			.p_offset = (Elf64_Off)i * PAGE,
			.p_vaddr = 0x400000 + (i == 2 ? 4 : i) * PAGE,
			.p_filesz = PAGE,
			.p_memsz = PAGE };
	fake->phdrs[3] = (Elf64_Phdr){ .p_type = PT_NOTE,
		.p_align = 4,
		.p_vaddr = 0x400000 + offsetof(struct fake, note),
		.p_memsz = sizeof(fake->note) };
	fake->note.head = (Elf64_Nhdr){ 4, 20, NT_GNU_BUILD_ID };
	memcpy(fake->note.name, "GNU", 4);
	memset(fake->note.id, id, sizeof(fake->note.id));
}

static void map_image(const char *path, uint8_t id)
{
	struct fake fake;

	make_image(&fake, id);
	write_file(path, &fake, sizeof(fake), 3);
	map_file(FILE_PLACE, path, 1, PROT_READ, 0);
	map_file(FILE_PLACE + PAGE, path, 1, PROT_READ | PROT_EXEC, PAGE);
	map_file(FILE_PLACE + 2 * PAGE, path, 1, PROT_READ | PROT_WRITE, 2 * PAGE);
	map_file(FILE_PLACE + 4 * PAGE, path, 1, PROT_READ | PROT_EXEC, 2 * PAGE);
}

static void unmap_image(void)
{
	munmap(FILE_PLACE, 5 * PAGE);
	refresh();
}

static void the_segments_of_an_image_are_one_module(void **unused)
{
	char path[PATH_MAX];

	(void)unused;
	map_image(path_in(path, "image"), 7);
	refresh();
	struct pa_module *module = find(FILE_PLACE + PAGE);
	assert_non_null(module);
	assert_true(module->is_elf);
	assert_int_equal(module->segment_count, 2);
	assert_ptr_equal(find(FILE_PLACE + 4 * PAGE), module);
	assert_null(find(FILE_PLACE));
	assert_null(find(FILE_PLACE + 2 * PAGE));
	assert_null(find(FILE_PLACE + 3 * PAGE));
	assert_null(find(FILE_PLACE + 5 * PAGE));
	assert_int_equal(module->bias, (uintptr_t)FILE_PLACE - 0x400000);
	assert_int_equal(module->start, (uintptr_t)FILE_PLACE);
	assert_int_equal(module->limit, (uintptr_t)FILE_PLACE + 5 * PAGE);
	assert_int_equal(module->build_id_bytes, 20);
	assert_int_equal(module->build_id[19], 7);
	unmap_image();
}

static void the_same_inode_with_another_build_id_is_another_module(void **unused)
{
	char path[PATH_MAX];

	(void)unused;
	map_image(path_in(path, "image"), 7);
	refresh();
	struct pa_module *old = find(FILE_PLACE + PAGE);
	map_image(path, 8);
	refresh();
	struct pa_module *fresh = find(FILE_PLACE + PAGE);
	assert_int_equal(fresh->inode, old->inode);
	assert_true(old->dead);
	assert_int_equal(fresh->build_id[0], 8);
	unmap_image();
}

static void two_images_of_one_file_are_two_modules(void **unused)
{
	char path[PATH_MAX];

	(void)unused;
	map_image(path_in(path, "image"), 7);
	map_file(FILE_PLACE + 5 * PAGE, path, 1, PROT_READ, 0);
	map_file(FILE_PLACE + 6 * PAGE, path, 1, PROT_READ | PROT_EXEC, PAGE);
	refresh();
	struct pa_module *first = find(FILE_PLACE + PAGE), *second = find(FILE_PLACE + 6 * PAGE);
	assert_ptr_not_equal(first, second);
	assert_int_equal(second->bias - first->bias, 5 * PAGE);
	munmap(FILE_PLACE + 5 * PAGE, 2 * PAGE);
	unmap_image();
}

/* As programs do that move their code to huge pages. */
static void anonymous_code_within_an_image_belongs_to_it(void **unused)
{
	char path[PATH_MAX];

	(void)unused;
	map_image(path_in(path, "image"), 7);
	map_anonymous(FILE_PLACE + PAGE, 1, PROT_READ | PROT_EXEC);
	refresh();
	struct pa_module *module = find(FILE_PLACE + PAGE);
	assert_non_null(module);
	assert_string_equal(module->path, path);
	assert_int_equal(module->segments[0].offset, PAGE);
	unmap_image();
}

static void code_that_is_written_to_stays_the_same_module(void **unused)
{
	const int code = PROT_READ | PROT_EXEC;
	char path[PATH_MAX];

	(void)unused;
	write_file(path_in(path, "patched"), "1", 1, 9);
	map_file(FILE_PLACE, path, 9, code, 0);
	refresh();
	struct pa_module *module = find(FILE_PLACE);
	uint32_t count = pa_maps_count();
	for (int i = 0; i < 8; i += 2)
		mprotect(FILE_PLACE + i * PAGE, PAGE, code | PROT_WRITE);
	refresh();
	assert_int_equal(module->segment_count, 1);
	assert_ptr_equal(find(FILE_PLACE + 8 * PAGE), module);
	mprotect(FILE_PLACE + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE);
	refresh();
	assert_ptr_equal(find(FILE_PLACE + 8 * PAGE), module);
	assert_int_equal(pa_maps_count(), count);
	munmap(FILE_PLACE, 9 * PAGE);
}

static void more_segments_than_fit_are_merged(void **unused)
{
	char path[PATH_MAX];

	(void)unused;
	write_file(path_in(path, "sieve"), "1", 1, 20);
	map_file(FILE_PLACE, path, 20, PROT_READ | PROT_EXEC, 0);
	for (int i = 1; i < 20; i += 2)
		mprotect(FILE_PLACE + i * PAGE, PAGE, PROT_READ);
	refresh();
	struct pa_module *module = find(FILE_PLACE + 18 * PAGE);
	assert_non_null(module);
	assert_ptr_equal(find(FILE_PLACE), module);
	assert_int_equal(module->segment_count, PA_MODULE_SEGMENTS);
	munmap(FILE_PLACE, 20 * PAGE);
	refresh();
}

/* A header that claims a terabyte must not swallow what is mapped behind it. */
static void a_lying_header_does_not_take_other_files(void **unused)
{
	struct fake fake;
	char path[PATH_MAX], other[PATH_MAX];

	(void)unused;
	make_image(&fake, 1);
	fake.phdrs[1].p_memsz = (uint64_t)1 << 39;
	write_file(path_in(path, "liar"), &fake, sizeof(fake), 3);
	write_file(path_in(other, "other"), "1", 1, 1);
	map_file(FILE_PLACE, path, 2, PROT_READ | PROT_EXEC, 0);
	map_file(FILE_PLACE + 16 * PAGE, other, 1, PROT_READ | PROT_EXEC, 0);
	refresh();
	assert_string_equal(find(FILE_PLACE + 16 * PAGE)->path, other);
	assert_string_equal(find(FILE_PLACE)->path, path);
	munmap(FILE_PLACE, 17 * PAGE);
	refresh();
}

/* ---------------------------------------------------------------- JITs */

static void thousands_of_jit_pages_are_one_module(void **unused)
{
	uint32_t count;

	(void)unused;
	refresh();
	count = pa_maps_count();
	for (int i = 0; i < 3000; i++)
		map_anonymous(JIT_PLACE + 2 * i * PAGE, 1, PROT_READ | PROT_EXEC);
	refresh();
	assert_int_equal(pa_maps_count(), count + 1);
	struct pa_module *module = find(JIT_PLACE + 2 * 2999 * PAGE);
	assert_string_equal(module->path, "[jit]");
	assert_false(module->is_elf);
	assert_int_equal(module->segment_count, 1);
	assert_ptr_equal(find(JIT_PLACE), module);
	/* More code nearby needs no new module, and less does not end this one. */
	map_anonymous(JIT_PLACE + 10000 * PAGE, 1, PROT_READ | PROT_EXEC);
	munmap(JIT_PLACE, 100 * PAGE);
	refresh();
	assert_int_equal(pa_maps_count(), count + 1);
	assert_ptr_equal(find(JIT_PLACE + 10000 * PAGE), module);
	munmap(JIT_PLACE, 10001 * PAGE);
	refresh();
	assert_true(module->dead);
	assert_null(find(JIT_PLACE + 10000 * PAGE));
}

static void a_file_among_jit_pages_keeps_its_place(void **unused)
{
	char path[PATH_MAX];

	(void)unused;
	write_file(path_in(path, "guest"), "1", 1, 1);
	map_anonymous(JIT_PLACE, 1, PROT_READ | PROT_EXEC);
	refresh();
	struct pa_module *wide = find(JIT_PLACE);
	assert_ptr_equal(find(JIT_PLACE + 8 * PAGE), wide);
	map_file(JIT_PLACE + 8 * PAGE, path, 1, PROT_READ | PROT_EXEC, 0);
	map_anonymous(JIT_PLACE + 16 * PAGE, 1, PROT_READ | PROT_EXEC);
	refresh();
	assert_true(wide->dead);
	assert_string_equal(find(JIT_PLACE + 8 * PAGE)->path, path);
	struct pa_module *before = find(JIT_PLACE), *behind = find(JIT_PLACE + 16 * PAGE);
	assert_string_equal(before->path, "[jit]");
	assert_string_equal(behind->path, "[jit]");
	assert_true(before->limit <= (uintptr_t)JIT_PLACE + 8 * PAGE);
	assert_true(behind->start >= (uintptr_t)JIT_PLACE + 9 * PAGE);
	/* What is behind goes: the one before could be larger now, and stays as it is. */
	munmap(JIT_PLACE + 8 * PAGE, 9 * PAGE);
	refresh();
	assert_true(behind->dead);
	assert_ptr_equal(find(JIT_PLACE), before);
	munmap(JIT_PLACE, PAGE);
	refresh();
}

static void code_over_a_large_range_is_cut_into_units(void **unused)
{
	size_t bytes = 3 * PA_MAPS_SCAN_UNIT;

	(void)unused;
	map_anonymous(JIT_PLACE, bytes / PAGE, PROT_EXEC);
	refresh();
	for (size_t at = 0; at < bytes; at += PA_MAPS_SCAN_UNIT / 2)
		assert_non_null(find(JIT_PLACE + at));
	assert_ptr_not_equal(find(JIT_PLACE), find(JIT_PLACE + bytes - 1));
	munmap(JIT_PLACE, bytes);
	refresh();
}

/* .NET maps each piece of its code from one memfd. */
static void code_in_a_memory_file_is_anonymous(void **unused)
{
	int fd = memfd_create("doublemapper", 0);

	(void)unused;
	assert_int_equal(ftruncate(fd, 8 * PAGE), 0);
	for (size_t i = 0; i < 8; i++)
		mmap(JIT_PLACE + 2 * i * PAGE, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED,
			fd, (off_t)(i * PAGE));
	close(fd);
	refresh();
	assert_string_equal(find(JIT_PLACE)->path, "[jit]");
	assert_ptr_equal(find(JIT_PLACE), find(JIT_PLACE + 14 * PAGE));
	munmap(JIT_PLACE, 16 * PAGE);
	refresh();
}

static void a_text_of_many_pages_is_read_whole(void **unused)
{
	char path[PATH_MAX];
	const int lines = 6000;

	(void)unused;
	write_file(path_in(path, "last"), "1", 1, 1);
	for (int i = 0; i < lines; i++)
		map_anonymous(JIT_PLACE + i * PAGE, 1, i & 1 ? PROT_READ : PROT_NONE);
	map_file(JIT_PLACE + lines * PAGE, path, 1, PROT_READ | PROT_EXEC, 0);
	refresh();
	assert_string_equal(find(JIT_PLACE + lines * PAGE)->path, path);
	munmap(JIT_PLACE, (size_t)(lines + 1) * PAGE);
	refresh();
}

/* ---------------------------------------------------------------- damaged texts */

static size_t read_maps(char *text, size_t size)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t length = 0;
	ssize_t got;

	while ((got = read(fd, text + length, size - length)) > 0)
		length += (size_t)got;
	close(fd);
	return length;
}

/* Runs last: it fills the table of modules with nonsense, until that is full. */
static void damaged_texts_do_no_harm(void **unused)
{
	static const char bytes[] = "0123456789abcdef -:/rxp\n\\([";
	static char text[1 << 16], damaged[1 << 16];
	size_t length = read_maps(text, sizeof(text));
	struct pa_module *self = find((void *)damaged_texts_do_no_harm);

	(void)unused;
	srandom(20);
	for (int i = 0; i < 2000; i++) {
		size_t cut = (size_t)random() % (length + 1);

		memcpy(damaged, text, length);
		for (int n = (int)(random() % 40); n > 0; n--)
			damaged[(size_t)random() % length] = bytes[random() % (sizeof(bytes) - 1)];
		pa_maps_refresh_from(damaged, i & 1 ? length : cut);
		pa_maps_find((uintptr_t)random() << 12);
	}
	refresh();
	assert_non_null(find((void *)damaged_texts_do_no_harm));
	assert_string_equal(find((void *)damaged_texts_do_no_harm)->path, self->path);
	assert_int_equal(pa_maps_refresh_from("", 0) != 0, 1);
	assert_non_null(find((void *)damaged_texts_do_no_harm));
}

/* As when a mapping grows or is merged between two reads of the file. */
static void a_place_that_is_said_twice_counts_once(void **unused)
{
	static const char text[] = "10000000-10002000 r-xp 00000000 fe:01 5 /a\n"
				   "10000000-10004000 r-xp 00000000 fe:01 5 /a\n"
				   "10001000-10003000 r-xp 00001000 fe:01 5 /a\n"
				   "10003000-10006000 r-xp 00003000 fe:01 5 /a\n"
				   "20000000-20001000 rwxp 00000000 00:00 0 \n"
				   "20000000-20003000 rwxp 00000000 00:00 0 \n";
	struct pa_maps_scan scan;

	(void)unused;
	assert_int_equal(pa_maps_scan(&scan, text, strlen(text)), 0);
	assert_int_equal(scan.file_count, 1);
	assert_int_equal(scan.draft_count, 2);
	assert_int_equal(scan.drafts[0].segment_count, 1);
	assert_int_equal(scan.drafts[0].segments[0].start, 0x10000000);
	assert_int_equal(scan.drafts[0].segments[0].limit, 0x10006000);
	assert_int_equal(scan.loose_count, 2);
	assert_int_equal(scan.loose[1].start, 0x20001000);
	pa_maps_scan_free(&scan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_segments_of_an_image_are_one_module),
		cmocka_unit_test(the_same_inode_with_another_build_id_is_another_module),
		cmocka_unit_test(two_images_of_one_file_are_two_modules),
		cmocka_unit_test(anonymous_code_within_an_image_belongs_to_it),
		cmocka_unit_test(code_that_is_written_to_stays_the_same_module),
		cmocka_unit_test(more_segments_than_fit_are_merged),
		cmocka_unit_test(a_lying_header_does_not_take_other_files),
		cmocka_unit_test(thousands_of_jit_pages_are_one_module),
		cmocka_unit_test(a_file_among_jit_pages_keeps_its_place),
		cmocka_unit_test(code_over_a_large_range_is_cut_into_units),
		cmocka_unit_test(code_in_a_memory_file_is_anonymous),
		cmocka_unit_test(a_text_of_many_pages_is_read_whole),
		cmocka_unit_test(damaged_texts_do_no_harm),
		cmocka_unit_test(a_place_that_is_said_twice_counts_once),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

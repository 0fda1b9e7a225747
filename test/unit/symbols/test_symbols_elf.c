/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/arena.h"
#include "agent/symbols/symbols_elf.h"

/* Header, three sections (none, names, contents), their contents. */
struct file {
	Elf64_Ehdr header;
	Elf64_Shdr sections[3];
	char names[24];
	char contents[16];
};

static struct file make_file(void)
{
	struct file file = {
		.header = { .e_shoff = offsetof(struct file, sections), .e_shnum = 3,
			.e_shentsize = sizeof(Elf64_Shdr), .e_shstrndx = 1 },
		.sections = {
			[1] = { .sh_name = 1, .sh_type = SHT_STRTAB,
				.sh_offset = offsetof(struct file, names),
				.sh_size = sizeof(file.names) },
			[2] = { .sh_name = 7, .sh_type = SHT_PROGBITS,
				.sh_offset = offsetof(struct file, contents),
				.sh_size = sizeof(file.contents) },
		},
		.names = "\0names\0contents",
		.contents = "0123456789abcdef",
	};

	memcpy(file.header.e_ident, ELFMAG, SELFMAG);
	file.header.e_ident[EI_CLASS] = ELFCLASS64;
	file.header.e_ident[EI_DATA] = ELFDATA2LSB;
	return file;
}

static int open_file(struct pa_symbols_elf *elf, const struct file *file)
{
	return pa_symbols_elf_open_image(elf, file, sizeof(*file));
}

static void sections_are_found_by_name_and_type(void **unused)
{
	struct file file = make_file();
	struct pa_symbols_elf elf;

	(void)unused;
	assert_int_equal(open_file(&elf, &file), 0);
	const Elf64_Shdr *section = pa_symbols_elf_find(&elf, "contents");
	assert_non_null(section);
	assert_ptr_equal(pa_symbols_elf_find_type(&elf, SHT_PROGBITS), section);
	assert_null(pa_symbols_elf_find(&elf, "content"));
	assert_null(pa_symbols_elf_find(&elf, ""));
	char *contents = pa_symbols_elf_load(&elf, section, 16);
	assert_string_equal(contents, "0123456789abcdef");
	pa_unmap(contents, 17);
	assert_null(pa_symbols_elf_load(&elf, section, 15));
	pa_symbols_elf_close(&elf);
}

static void counts_may_stand_in_the_first_section(void **unused)
{
	struct file file = make_file();
	struct pa_symbols_elf elf;

	(void)unused;
	file.header.e_shnum = 0;
	file.header.e_shstrndx = SHN_XINDEX;
	file.sections[0].sh_size = 3;
	file.sections[0].sh_link = 1;
	assert_int_equal(open_file(&elf, &file), 0);
	assert_non_null(pa_symbols_elf_find(&elf, "contents"));
	pa_symbols_elf_close(&elf);
}

static void sections_outside_the_file_are_not_loaded(void **unused)
{
	static const Elf64_Shdr wild[] = {
		{ .sh_type = SHT_PROGBITS, .sh_offset = sizeof(struct file) - 8, .sh_size = 9 },
		{ .sh_type = SHT_PROGBITS, .sh_offset = UINT64_MAX - 8, .sh_size = 16 },
		{ .sh_type = SHT_PROGBITS, .sh_offset = 64, .sh_size = UINT64_MAX },
		{ .sh_type = SHT_NOBITS, .sh_offset = 64, .sh_size = 8 },
		{ .sh_type = SHT_PROGBITS, .sh_offset = 64, .sh_size = 0 },
	};
	struct file file = make_file();
	struct pa_symbols_elf elf;

	(void)unused;
	assert_int_equal(open_file(&elf, &file), 0);
	for (size_t i = 0; i < PA_COUNT(wild); i++)
		assert_null(pa_symbols_elf_load(&elf, &wild[i], UINT64_MAX));
	pa_symbols_elf_close(&elf);
}

static void a_file_without_sections_is_a_file(void **unused)
{
	struct file file = make_file();
	struct pa_symbols_elf elf;

	(void)unused;
	file.header.e_shoff = sizeof(file) - 100;
	assert_int_equal(open_file(&elf, &file), 0);
	assert_int_equal(elf.section_count, 0);
	assert_null(pa_symbols_elf_find(&elf, "contents"));
	pa_symbols_elf_close(&elf);
	file.header.e_shnum = 0xffff;
	file.header.e_shoff = 64;
	assert_int_equal(open_file(&elf, &file), 0);
	assert_int_equal(elf.section_count, 0);
	pa_symbols_elf_close(&elf);
}

static void what_is_no_elf_file_is_refused_and_closed(void **unused)
{
	struct file file = make_file();
	struct pa_symbols_elf elf;
	int fd = open("/dev/null", O_RDONLY);

	(void)unused;
	assert_int_equal(pa_symbols_elf_open(&elf, fd, "/dev/null"), -ENOEXEC);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fd = open("/proc/self/exe", O_RDONLY);
	assert_int_equal(pa_symbols_elf_open(&elf, fd, "/proc/self/exe"), 0);
	assert_true(elf.section_count > 10);
	pa_symbols_elf_close(&elf);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(pa_symbols_elf_open_image(&elf, &file, sizeof(file.header) - 1), -ENOEXEC);
	file.header.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(open_file(&elf, &file), -ENOEXEC);
	file = make_file();
	file.header.e_ident[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(open_file(&elf, &file), -ENOEXEC);
	file.header.e_ident[0] = 'E';
	assert_int_equal(open_file(&elf, &file), -ENOEXEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections_are_found_by_name_and_type),
		cmocka_unit_test(counts_may_stand_in_the_first_section),
		cmocka_unit_test(sections_outside_the_file_are_not_loaded),
		cmocka_unit_test(a_file_without_sections_is_a_file),
		cmocka_unit_test(what_is_no_elf_file_is_refused_and_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

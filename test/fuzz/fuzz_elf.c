/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds symbols/symbols_elf.c and symbols_table.c: an ELF file, of which everything is read that is
 * ever read. May not happen: a name without an end, contents that are not in the file, a function
 * found where it is not.
 */
#include "fuzz.h"

#include "agent/base/arena.h"
#include "agent/symbols/symbols_image.h"
#include "agent/symbols/symbols_table.h"

#define LOADED_MAX ((uint64_t)1 << 20)
/* Of a file whose sections lie one in the other. */
#define SECTIONS_CHECKED 200

static void check_sections(const struct pa_symbols_elf *elf)
{
	for (uint32_t i = 0; i < elf->section_count && i < SECTIONS_CHECKED; i++) {
		const Elf64_Shdr *section = &elf->sections[i];
		const char *name = pa_symbols_elf_name(elf, section);
		char *contents = pa_symbols_elf_load(elf, section, LOADED_MAX);

		if (*name)
			pa_symbols_elf_find(elf, name);
		if (!contents)
			continue;
		must(section->sh_size <= LOADED_MAX && section->sh_size <= elf->bytes);
		must(contents[section->sh_size] == '\0');
		pa_unmap(contents, section->sh_size + 1);
	}
}

static void check_functions(const struct pa_symbols_elf *elf, const struct pa_symbols_table *table)
{
	struct pa_symbols_match match;

	for (uint32_t i = 0; i < elf->section_count && i < SECTIONS_CHECKED; i++) {
		const Elf64_Shdr *section = &elf->sections[i];

		for (uint64_t at = section->sh_addr; at < section->sh_addr + 0x100; at += 0x10) {
			if (!pa_symbols_table_find(table, at, &match))
				continue;
			must(at - match.start < match.bytes && match.name_bytes > 0);
			must(match.name >= table->names);
			must(match.name + match.name_bytes < table->names + table->names_bytes);
		}
	}
}

static void check_table(const struct pa_symbols_elf *elf)
{
	struct pa_symbols_table table = { 0 };
	const Elf64_Shdr *full = pa_symbols_elf_find_type(elf, SHT_SYMTAB);
	const Elf64_Shdr *exported = pa_symbols_elf_find_type(elf, SHT_DYNSYM);

	if (full)
		pa_symbols_table_add(&table, elf, full);
	if (exported)
		pa_symbols_table_add(&table, elf, exported);
	pa_symbols_table_finish(&table);
	check_functions(elf, &table);
	pa_symbols_table_free(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct pa_symbols_source sources[PA_SYMBOLS_PART_COUNT];
	struct pa_symbols_image image;
	struct pa_symbols_elf elf;
	uint8_t id[PA_BUILD_ID_BYTES];
	Elf64_Phdr phdr;

	if (pa_symbols_elf_open_image(&elf, bytes, count) != 0)
		return 0;
	check_sections(&elf);
	must(pa_symbols_elf_build_id(&elf, id) <= PA_BUILD_ID_BYTES);
	for (uint32_t i = 0; pa_symbols_elf_phdr(&elf, i, &phdr); i++)
		must(i < elf.header.e_phnum);
	check_table(&elf);
	if (pa_symbols_image_list(&elf, "", sources) && pa_symbols_image_make(&image, sources) == 0)
		pa_symbols_image_free(&image);
	pa_symbols_elf_close(&elf);
	return 0;
}

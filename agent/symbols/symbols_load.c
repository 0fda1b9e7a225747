/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../arch/arch.h"
#include "symbols_files.h"
#include "symbols_memory.h"

static void add_packed(void *arg, const struct pa_symbols_elf *packed)
{
	const Elf64_Shdr *section = pa_symbols_elf_find_type(packed, SHT_SYMTAB);

	if (section)
		pa_symbols_table_add(arg, packed, section);
}

/* Adds .symtab if the file has it, otherwise .dynsym and the compressed table. */
static bool add_file(struct pa_symbols_table *table, const struct pa_symbols_elf *file)
{
	const Elf64_Shdr *full = pa_symbols_elf_find_type(file, SHT_SYMTAB);
	const Elf64_Shdr *exported = pa_symbols_elf_find_type(file, SHT_DYNSYM);

	if (full && pa_symbols_table_add(table, file, full))
		return true;
	if (exported)
		pa_symbols_table_add(table, file, exported);
	pa_symbols_files_packed(file, add_packed, table);
	return false;
}

static void add_debug_file(struct pa_symbols_table *table, const struct pa_module *module,
	const struct pa_symbols_elf *file)
{
	struct pa_symbols_elf debug;
	const Elf64_Shdr *full;

	if (pa_symbols_files_debug(module, file, NULL, &debug) != 0)
		return;
	full = pa_symbols_elf_find_type(&debug, SHT_SYMTAB);
	if (full)
		pa_symbols_table_add(table, &debug, full);
	pa_symbols_elf_close(&debug);
}

/* For images whose header is not mapped: uses the program header that maps the first segment. */
static uintptr_t bias_of(const struct pa_module *module, const struct pa_symbols_elf *file)
{
	const struct pa_segment *segment = &module->segments[0];
	Elf64_Phdr phdr;

	if (module->is_elf)
		return module->bias;
	for (uint32_t i = 0; pa_symbols_elf_phdr(file, i, &phdr); i++) {
		uint64_t start = phdr.p_offset & ~(PA_PAGE_BYTES - 1);

		if (phdr.p_type == PT_LOAD && phdr.p_flags & PF_X && segment->offset >= start &&
			segment->offset - start < phdr.p_filesz)
			return segment->start - (phdr.p_vaddr + segment->offset - phdr.p_offset);
	}
	return 0;
}

PA_AGENT void pa_symbols_load_table(const struct pa_module *module, struct pa_symbols *symbols)
{
	struct pa_symbols_elf file;
	bool full = false;

	if (symbols->read)
		return;
	symbols->read = true;
	symbols->bias = module->bias;
	bool there = pa_symbols_files_module(module, &file) == 0;
	if (there) {
		symbols->bias = bias_of(module, &file);
		full = add_file(&symbols->table, &file);
	}
	if (!full)
		add_debug_file(&symbols->table, module, there ? &file : NULL);
	if (there)
		pa_symbols_elf_close(&file);
	if (symbols->table.count == 0)
		pa_symbols_memory_add(module, &symbols->table);
	pa_symbols_table_finish(&symbols->table);
}

/* Takes ownership of file, also on failure. */
static struct pa_symbols_dwarf *open_with_shared(struct pa_symbols_elf *file,
	struct pa_symbols_known *known, int *error)
{
	struct pa_symbols_elf shared;

	if (!pa_symbols_dwarf_present(file)) {
		pa_symbols_elf_close(file);
		*error = -ENODATA;
		return NULL;
	}
	bool is_shared = pa_symbols_files_shared(file, &shared) == 0;
	return pa_symbols_dwarf_open(file, is_shared ? &shared : NULL, known, error);
}

PA_AGENT bool pa_symbols_load_is_of_system(const struct pa_module *module)
{
	static const char *const searched[] = { "/usr/lib64/", "/usr/lib/", "/lib64/", "/lib/" };
	static const char machine[] = "-linux-gnu/";

	for (size_t i = 0; i < PA_COUNT(searched) && !module->is_main; i++) {
		size_t length = strlen(searched[i]);
		if (strncmp(module->path, searched[i], length) != 0)
			continue;
		const char *name = module->path + length, *slash = strchr(name, '/');
		size_t folder = slash ? (size_t)(slash - name) + 1 : 0;
		if (folder >= sizeof(machine) &&
			strncmp(name + folder - (sizeof(machine) - 1), machine,
				sizeof(machine) - 1) == 0)
			slash = strchr(slash + 1, '/');
		return !slash;
	}
	return module->path[0] == '[' && !module->is_main;
}

static struct pa_symbols_dwarf *open_separate(const struct pa_module *module,
	const struct pa_symbols_elf *file, struct pa_symbols_known *known, int *error)
{
	struct pa_symbols_elf debug;

	*error = -ENODATA;
	if (pa_symbols_load_is_of_system(module) ||
		pa_symbols_files_debug(module, file, NULL, &debug) != 0)
		return NULL;
	return open_with_shared(&debug, known, error);
}

static struct pa_symbols_dwarf *open_debug(const struct pa_module *module,
	struct pa_symbols_known *known, int *error)
{
	struct pa_symbols_elf file;
	struct pa_symbols_dwarf *dwarf;

	if (pa_symbols_files_module(module, &file) != 0)
		return open_separate(module, NULL, known, error);
	if (pa_symbols_dwarf_present(&file))
		return open_with_shared(&file, known, error);
	dwarf = open_separate(module, &file, known, error);
	pa_symbols_elf_close(&file);
	return dwarf;
}

PA_AGENT bool pa_symbols_load_debug(const struct pa_module *module, struct pa_symbols *symbols)
{
	int error = 0;

	if (symbols->debug != PA_SYMBOLS_DEBUG_CLOSED)
		return symbols->debug == PA_SYMBOLS_DEBUG_OPEN;
	symbols->dwarf = open_debug(module, &symbols->known, &error);
	if (symbols->dwarf)
		symbols->debug = PA_SYMBOLS_DEBUG_OPEN;
	else if (error == -ENODATA)
		symbols->debug = PA_SYMBOLS_DEBUG_NONE;
	return symbols->debug == PA_SYMBOLS_DEBUG_OPEN;
}

PA_AGENT bool pa_symbols_load_stub(const struct pa_module *module, const struct pa_symbols *symbols,
	uintptr_t pc, char name[PA_SYMBOLS_NAMES_LONGEST], uintptr_t *entry)
{
	struct pa_symbols_match match;
	uint64_t target;

	if (!pa_symbols_memory_stub(module, pc, name, PA_SYMBOLS_NAMES_LONGEST, entry, &target))
		return false;
	if (target == 0)
		return true;
	return pa_symbols_table_find(&symbols->table, target, &match) &&
		snprintf(name, PA_SYMBOLS_NAMES_LONGEST, "%.*s@plt", (int)match.name_bytes,
			match.name) < PA_SYMBOLS_NAMES_LONGEST;
}

PA_AGENT void pa_symbols_load_drop_table(struct pa_symbols *symbols)
{
	pa_symbols_table_free(&symbols->table);
	symbols->read = false;
}

PA_AGENT void pa_symbols_load_drop_debug(struct pa_symbols *symbols)
{
	if (symbols->debug != PA_SYMBOLS_DEBUG_OPEN)
		return;
	pa_symbols_dwarf_close(symbols->dwarf);
	symbols->dwarf = NULL;
	symbols->debug = PA_SYMBOLS_DEBUG_CLOSED;
}

PA_AGENT size_t pa_symbols_load_known_bytes(const struct pa_symbols *symbols)
{
	return pa_symbols_units_bytes(&symbols->known.own) +
		pa_symbols_units_bytes(&symbols->known.shared);
}

PA_AGENT void pa_symbols_load_forget(struct pa_symbols *symbols)
{
	pa_symbols_units_free(&symbols->known.own);
	pa_symbols_units_free(&symbols->known.shared);
}

#include "symbols_load.h"

#include "../base/clock.h"
#include "symbols_files.h"
#include "symbols_memory.h"

/* A first try may be slow because the file is on a slow disk; later it is in memory. */
#define MAX_LATE 3

static void add_packed(void *arg, const struct pa_symbols_elf *packed)
{
	const Elf64_Shdr *section = pa_symbols_elf_find_type(packed, SHT_SYMTAB);

	if (section)
		pa_symbols_table_add(arg, packed, section);
}

/* The full table if the file has it, else the exported functions and what is packed into it. */
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

	if (pa_symbols_files_debug(module, file, &debug) != 0)
		return;
	full = pa_symbols_elf_find_type(&debug, SHT_SYMTAB);
	if (full)
		pa_symbols_table_add(table, &debug, full);
	pa_symbols_elf_close(&debug);
}

/* For images whose header is not mapped: by the program header that maps the first segment. */
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

static struct pa_symbols_dwarf *open_with_shared(const struct pa_symbols_elf *file,
	int64_t deadline_ns)
{
	struct pa_symbols_dwarf *dwarf;
	struct pa_symbols_elf shared;

	if (!pa_symbols_dwarf_present(file))
		return NULL;
	if (pa_symbols_files_shared(file, &shared) != 0)
		return pa_symbols_dwarf_open(file, NULL, deadline_ns);
	dwarf = pa_symbols_dwarf_open(file, &shared, deadline_ns);
	pa_symbols_elf_close(&shared);
	return dwarf;
}

static struct pa_symbols_dwarf *open_debug(const struct pa_module *module, int64_t deadline_ns)
{
	struct pa_symbols_elf file, debug;
	struct pa_symbols_dwarf *dwarf = NULL;
	bool there = pa_symbols_files_module(module, &file) == 0;

	if (there)
		dwarf = open_with_shared(&file, deadline_ns);
	if (!dwarf && pa_symbols_files_debug(module, there ? &file : NULL, &debug) == 0) {
		dwarf = open_with_shared(&debug, deadline_ns);
		pa_symbols_elf_close(&debug);
	}
	if (there)
		pa_symbols_elf_close(&file);
	return dwarf;
}

PA_AGENT bool pa_symbols_load_debug(const struct pa_module *module, struct pa_symbols *symbols,
	int64_t deadline_ns)
{
	if (symbols->debug != PA_SYMBOLS_DEBUG_CLOSED)
		return symbols->debug == PA_SYMBOLS_DEBUG_OPEN;
	symbols->dwarf = open_debug(module, deadline_ns);
	if (symbols->dwarf)
		symbols->debug = PA_SYMBOLS_DEBUG_OPEN;
	else if (pa_clock_mono_ns() < deadline_ns || ++symbols->late == MAX_LATE)
		symbols->debug = PA_SYMBOLS_DEBUG_NONE;
	return symbols->debug == PA_SYMBOLS_DEBUG_OPEN;
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

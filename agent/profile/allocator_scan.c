/* SPDX-License-Identifier: Apache-2.0 */
#include "allocator_scan.h"

#include <stdlib.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/assert.h"
#include "../symbols/mem_headroom.h"
#include "../symbols/symbols_files.h"
#include "allocator_texts.h"

#define BATCH 256
#define MAX_NAMES_BYTES ((uint64_t)1 << 30)
#define MAX_SYMBOLS_BYTES ((uint64_t)1 << 30)
#define PREFIX_BYTES 24
/* Functions of one allocator that are at most this far apart are one range: padding. */
#define GAP_BYTES 64
#define CODE_MAX ((size_t)8192)

/* A kind is there when a function of this name is; of jemalloc, with any prefix. */
static const struct {
	const char *name, *symbol;
} kinds[PA_ALLOCATOR_KINDS] = {
	[PA_ALLOCATOR_NONE] = { "", NULL },
	[PA_ALLOCATOR_JEMALLOC] = { "jemalloc", NULL },
	[PA_ALLOCATOR_GPERFTOOLS] = { "tcmalloc (gperftools)", "tc_malloc" },
	[PA_ALLOCATOR_TCMALLOC] = { "tcmalloc", "TCMallocInternalMalloc" },
	[PA_ALLOCATOR_MIMALLOC] = { "mimalloc", "mi_malloc" },
	[PA_ALLOCATOR_SNMALLOC] = { "snmalloc", "sn_rust_alloc" },
	[PA_ALLOCATOR_RPMALLOC] = { "rpmalloc", "rpmalloc" },
	[PA_ALLOCATOR_TBB] = { "TBB's allocator", "scalable_malloc" },
};

static const char *const hook_names[PA_ALLOCATOR_ENTRIES] = {
	[PA_ALLOCATOR_ADD_NEW] = "MallocHook_AddNewHook",
	[PA_ALLOCATOR_REMOVE_NEW] = "MallocHook_RemoveNewHook",
	[PA_ALLOCATOR_ADD_DELETE] = "MallocHook_AddDeleteHook",
	[PA_ALLOCATOR_REMOVE_DELETE] = "MallocHook_RemoveDeleteHook",
	[PA_ALLOCATOR_PROPERTY] = "MallocExtension_GetNumericProperty",
};

struct search {
	struct pa_allocator_scan *scan;
	const struct pa_symbols_elf *file;
	uintptr_t bias;
	char *names; /* the string table that is being read */
	uint64_t names_bytes;
	bool exported;                   /* of .dynsym */
	bool in_allocator;               /* local symbols follow that of their source file */
	bool has_prefix;                 /* mallctl was found, and its prefix */
	bool has_proof;                  /* another function of jemalloc was found */
	bool is_python;                  /* the interpreter */
	char prefix[PREFIX_BYTES];       /* of jemalloc's functions */
	struct pa_allocator_range *code; /* CODE_MAX functions of the allocator */
	size_t code_count;
	void (*take)(struct search *search, const Elf64_Sym *symbol, const char *name);
};

const char *pa_allocator_scan_name(enum pa_allocator_kind kind)
{
	PA_ASSERT(kind < PA_ALLOCATOR_KINDS);
	return kinds[kind].name;
}

/* ---- pieces ---- */

/* Most modules have no such name: one quick search tells, before all symbols are compared. */
static bool has_allocator_names(struct pa_allocator_scan *unused, const char *piece, size_t bytes)
{
	(void)unused;
	for (const char *at = piece; (at = memmem(at, bytes - (size_t)(at - piece), "mall", 4));
		at++) {
		bool is_malloc = strcmp(at, "malloc") == 0;
		if (pa_allocator_texts_is_after(at, "mallctl") ||
			pa_allocator_texts_is_after(at, "malloc17tcmalloc_internal") ||
			pa_allocator_texts_is_before(piece, at, "8sn") ||
			(is_malloc && pa_allocator_texts_is_before(piece, at, "_")) ||
			(is_malloc && pa_allocator_texts_is_before(piece, at, "rp")))
			return true;
	}
	return false;
}

/* ---- symbols ---- */

static bool load_names(struct search *search, const Elf64_Shdr *section)
{
	PA_ASSERT(!search->names);
	const struct pa_symbols_elf *file = search->file;
	if (section->sh_entsize != sizeof(Elf64_Sym) || section->sh_size > MAX_SYMBOLS_BYTES ||
		section->sh_link >= file->section_count)
		return false;
	const Elf64_Shdr *strings = &file->sections[section->sh_link];
	if (strings->sh_type != SHT_STRTAB || !pa_mem_headroom_for(strings->sh_size))
		return false;
	search->names = pa_symbols_elf_load(file, strings, MAX_NAMES_BYTES);
	search->names_bytes = strings->sh_size;
	return search->names != NULL;
}

static void take_batch(struct search *search, const Elf64_Sym *symbols, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (symbols[i].st_name < search->names_bytes)
			search->take(search, &symbols[i], search->names + symbols[i].st_name);
}

static void each_symbol(struct search *search, uint32_t type,
	void (*take)(struct search *search, const Elf64_Sym *symbol, const char *name))
{
	const Elf64_Shdr *section = pa_symbols_elf_find_type(search->file, type);
	Elf64_Sym batch[BATCH];
	if (!section || !load_names(search, section))
		return;
	search->take = take;
	search->exported = type == SHT_DYNSYM;
	search->in_allocator = false;
	uint64_t count = section->sh_size / sizeof(*batch);
	for (uint64_t done = 0, part; done < count; done += part) {
		part = count - done < BATCH ? count - done : BATCH;
		if (!pa_symbols_elf_read(search->file, batch,
			    section->sh_offset + done * sizeof(*batch), part * sizeof(*batch)))
			break;
		take_batch(search, batch, part);
	}
	pa_unmap(search->names, search->names_bytes + 1);
	search->names = NULL;
}

static bool is_defined_function(const Elf64_Sym *symbol)
{
	return ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_shndx != SHN_UNDEF &&
		symbol->st_value;
}

static bool starts_with(const char *name, const char *start)
{
	return strncmp(name, start, strlen(start)) == 0;
}

/* True for `suffix` behind a prefix that C functions have; prefix gets it. */
static bool take_prefix(const char *name, const char *suffix, char prefix[PREFIX_BYTES])
{
	size_t bytes = strlen(name), end = strlen(suffix);
	if (bytes < end || bytes - end >= PREFIX_BYTES || strcmp(name + bytes - end, suffix) != 0 ||
		starts_with(name, "_Z"))
		return false;
	memcpy(prefix, name, bytes - end);
	prefix[bytes - end] = '\0';
	return true;
}

static bool is_ending_with(const char *name, const char *end)
{
	size_t bytes = strlen(name), end_bytes = strlen(end);
	return bytes >= end_bytes && strcmp(name + bytes - end_bytes, end) == 0;
}

/* mallctl alone is no proof: folly and others define one, which calls jemalloc's if there is one.
 * Programs may be linked without functions that they do not call, such as mallctlnametomib. */
static void find_jemalloc(struct search *search, const char *name)
{
	search->has_proof |= is_ending_with(name, "mallctlnametomib") ||
		is_ending_with(name, "je_ctl_byname") || is_ending_with(name, "je_malloc_default");
	search->has_prefix = search->has_prefix || take_prefix(name, "mallctl", search->prefix);
	if (search->has_proof && search->has_prefix)
		search->scan->kind = PA_ALLOCATOR_JEMALLOC;
}

static void find_allocator_kind(struct search *search, const Elf64_Sym *symbol, const char *name)
{
	struct pa_allocator_scan *scan = search->scan;
	if (!is_defined_function(symbol))
		return;
	find_jemalloc(search, name);
	for (int kind = 0; scan->kind == PA_ALLOCATOR_NONE && kind < PA_ALLOCATOR_KINDS; kind++)
		if (kinds[kind].symbol && strcmp(name, kinds[kind].symbol) == 0)
			scan->kind = (enum pa_allocator_kind)kind;
}

/* ---- what is needed of it ---- */

static const char *after_prefix(const struct search *search, const char *name)
{
	return starts_with(name, search->prefix) ? name + strlen(search->prefix) : "";
}

static bool is_public_name(const char *name)
{
	static const char *const names[] = { "malloc", "calloc", "realloc", "free", "memalign",
		"posix_memalign", "aligned_alloc", "valloc", "pvalloc", "reallocarray", "cfree",
		"mallocx", "rallocx", "xallocx", "sallocx", "dallocx", "sdallocx", "nallocx",
		"malloc_usable_size", "malloc_default" };
	for (size_t i = 0; i < PA_COUNT(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return starts_with(name, "mallctl");
}

/* operator new and operator delete. */
static bool is_operator_name(const char *name)
{
	return starts_with(name, "_Znw") || starts_with(name, "_Zna") ||
		starts_with(name, "_Zdl") || starts_with(name, "_Zda");
}

/* True for sources whose local functions are on the stack of a hook: "jemalloc.c", or "jemalloc.o"
 * of an archive. Others have names that a program's own sources may have. */
static bool is_allocator_source(const char *file)
{
	static const char *const stems[] = { "jemalloc.", "jemalloc_cpp.", "tcmalloc.",
		"malloc_hook." };
	for (size_t i = 0; i < PA_COUNT(stems); i++)
		if (starts_with(file, stems[i]))
			return true;
	return false;
}

static bool is_allocator_code(const struct search *search, const Elf64_Sym *symbol,
	const char *name)
{
	if (ELF64_ST_BIND(symbol->st_info) == STB_LOCAL && search->in_allocator)
		return true;
	if (search->scan->kind == PA_ALLOCATOR_JEMALLOC) {
		const char *plain = after_prefix(search, name);
		return is_public_name(plain) || starts_with(plain, "je_") ||
			starts_with(name, "je_") || is_operator_name(name);
	}
	return starts_with(name, "tc_") || starts_with(name, "MallocHook") ||
		is_public_name(name) || is_operator_name(name) || strstr(name, "8tcmalloc") ||
		strstr(name, "10MallocHook");
}

static void add_allocator_code(struct search *search, const Elf64_Sym *symbol)
{
	uintptr_t start = symbol->st_value + search->bias;
	if (search->code_count < CODE_MAX)
		search->code[search->code_count++] =
			(struct pa_allocator_range){ start, start + symbol->st_size };
}

static int by_code_start(const void *left, const void *right)
{
	const struct pa_allocator_range *a = left, *b = right;
	PA_ASSERT(a->start <= a->limit && b->start <= b->limit);
	return a->start < b->start ? -1 : a->start > b->start;
}

/* Neighbours become one range. */
static void merge_code(struct search *search)
{
	struct pa_allocator_scan *scan = search->scan;
	qsort(search->code, search->code_count, sizeof(search->code[0]), by_code_start);
	for (size_t i = 0; i < search->code_count; i++) {
		const struct pa_allocator_range *code = &search->code[i];
		struct pa_allocator_range *last = &scan->ranges[scan->range_count - 1];
		if (scan->range_count && code->start <= last->limit + GAP_BYTES)
			last->limit = code->limit > last->limit ? code->limit : last->limit;
		else if (scan->range_count < PA_ALLOCATOR_RANGES)
			scan->ranges[scan->range_count++] = *code;
	}
	PA_ASSERT(scan->range_count <= PA_ALLOCATOR_RANGES);
}

/* jemalloc's own functions have the prefix of the public ones and "je_", or that alone. Compilers
 * that optimize the whole program append to it; what ".cold" is appended to is a part of it. */
static bool is_destructor_name(const char *name)
{
	static const char own[] = "je_", destructor[] = "tsd_cleanup";
	if (starts_with(name, own))
		name += strlen(own);
	if (!starts_with(name, destructor))
		return false;
	name += strlen(destructor);
	return !*name || starts_with(name, ".lto_priv.") || starts_with(name, ".llvm.");
}

static void take_allocator_entry(struct search *search, const Elf64_Sym *symbol, const char *name)
{
	struct pa_allocator_scan *scan = search->scan;
	uintptr_t address = symbol->st_value + search->bias;
	if (scan->kind == PA_ALLOCATOR_JEMALLOC) {
		const char *plain = after_prefix(search, name);
		if (strcmp(plain, "mallctl") == 0)
			scan->entries[PA_ALLOCATOR_CONTROL] = address;
		if (is_destructor_name(plain) || is_destructor_name(name))
			scan->entries[PA_ALLOCATOR_DESTRUCTOR] = address;
		scan->has_pvalloc |= strcmp(plain, "pvalloc") == 0;
	}
	for (int i = 0; i < PA_ALLOCATOR_ENTRIES; i++)
		if (hook_names[i] && strcmp(name, hook_names[i]) == 0)
			scan->entries[i] = address;
	scan->has_malloc |= search->exported && strcmp(name, "malloc") == 0;
	scan->has_new |= search->exported && strcmp(name, "_Znwm") == 0;
}

static void take_details(struct search *search, const Elf64_Sym *symbol, const char *name)
{
	if (ELF64_ST_TYPE(symbol->st_info) == STT_FILE)
		search->in_allocator = is_allocator_source(name);
	if (!is_defined_function(symbol))
		return;
	take_allocator_entry(search, symbol, name);
	if (is_allocator_code(search, symbol, name))
		add_allocator_code(search, symbol);
}

/* Without memory for the list nothing is known but the kind. */
static void find_details(struct search *search)
{
	search->code = pa_map(CODE_MAX * sizeof(*search->code));
	if (!search->code)
		return;
	each_symbol(search, SHT_SYMTAB, take_details);
	each_symbol(search, SHT_DYNSYM, take_details);
	merge_code(search);
	pa_unmap(search->code, CODE_MAX * sizeof(*search->code));
}

/* ---- */

static bool may_have_allocator(const struct search *search, uint32_t type)
{
	const struct pa_symbols_elf *file = search->file;
	const Elf64_Shdr *section = pa_symbols_elf_find_type(file, type);
	return section && section->sh_link < file->section_count &&
		pa_allocator_texts_search(file, &file->sections[section->sh_link],
			has_allocator_names, search->scan);
}

static void find_by_names(struct search *search)
{
	static const uint32_t types[] = { SHT_SYMTAB, SHT_DYNSYM };
	for (size_t i = 0; i < PA_COUNT(types); i++)
		if (search->scan->kind == PA_ALLOCATOR_NONE && may_have_allocator(search, types[i]))
			each_symbol(search, types[i], find_allocator_kind);
}

static bool has_hooks(enum pa_allocator_kind kind)
{
	return kind == PA_ALLOCATOR_JEMALLOC || kind == PA_ALLOCATOR_GPERFTOOLS;
}

static void find_python(struct search *search, const Elf64_Sym *symbol, const char *name)
{
	if (is_defined_function(symbol) && strcmp(name, "PyMem_RawMalloc") == 0)
		search->is_python = true;
}

/* Python 3.13 and newer contains mimalloc, and uses it on request (PYTHONMALLOC). */
static bool is_python(struct search *search)
{
	each_symbol(search, SHT_DYNSYM, find_python);
	return search->is_python;
}

bool pa_allocator_scan(const struct pa_module *module, struct pa_allocator_scan *scan)
{
	struct pa_symbols_elf file;
	struct search search = { .scan = scan, .file = &file, .bias = module->bias };
	memset(scan, 0, sizeof(*scan));
	if (!module->is_elf || pa_symbols_files_module(module, &file) != 0)
		return false;
	find_by_names(&search);
	bool by_symbol = scan->kind != PA_ALLOCATOR_NONE;
	if (by_symbol)
		find_details(&search);
	bool stripped = !pa_symbols_elf_find_type(&file, SHT_SYMTAB);
	if (has_hooks(scan->kind) || (module->is_main && !by_symbol && stripped))
		pa_allocator_texts_find(&file, scan);
	if (scan->kind == PA_ALLOCATOR_MIMALLOC && is_python(&search))
		scan->kind = PA_ALLOCATOR_NONE;
	pa_symbols_elf_close(&file);
	return scan->kind != PA_ALLOCATOR_NONE;
}

static void find_import(struct search *search, const Elf64_Sym *symbol, const char *name)
{
	if (symbol->st_shndx == SHN_UNDEF && strcmp(name, "_Znwm") == 0)
		search->scan->has_new = true;
}

bool pa_allocator_scan_imports_new(const struct pa_module *module)
{
	struct pa_symbols_elf file;
	struct pa_allocator_scan scan = { 0 };
	struct search search = { .scan = &scan, .file = &file };
	if (!module->is_elf || pa_symbols_files_module(module, &file) != 0)
		return false;
	each_symbol(&search, SHT_DYNSYM, find_import);
	pa_symbols_elf_close(&file);
	return scan.has_new;
}

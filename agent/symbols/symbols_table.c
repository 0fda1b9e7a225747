/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_table.h"

#include <stdlib.h>
#include <string.h>

#include "../base/arena.h"
#include "../arch/arch.h"
#include "mem_headroom.h"

#define MAX_SECTION_BYTES ((uint64_t)1 << 30)
#define MAX_NAMES_BYTES ((size_t)1 << 31)
#define BATCH 256
/* Functions may be nested (an entry point in the middle): this many are tried. */
#define MAX_NESTED 64
#define MAX_UNDERSCORES 16

/*
 * Preference among several names of one address; larger is better, except that RANK_LOCAL is worse.
 */
enum rank { RANK_LOCAL = 1, RANK_SIZED = 2, RANK_FUNCTION = 4 };

struct pa_symbols_entry {
	uint64_t address : 48;
	uint64_t rank : 8; /* enum rank */
	uint64_t weak : 8;
	uint32_t bytes; /* unsized symbols: the rest of the code behind them */
	uint32_t name;  /* offset in names */
};

/* Source of the symbols being added. */
struct source {
	struct pa_symbols_table *table;
	const struct pa_symbols_elf *elf; /* NULL: symbols in memory */
	uint32_t names_at;                /* of its string table in table->names */
	size_t names_bytes;
	uint64_t (*limit_of)(void *arg, uint64_t address);
	void *arg;
};

static bool reserve_entries(struct pa_symbols_table *table, uint64_t more)
{
	uint64_t capacity = table->count + more;
	struct pa_symbols_entry *entries;

	if (capacity <= table->capacity)
		return true;
	if (capacity > UINT32_MAX)
		return false;
	entries = pa_map(capacity * sizeof(*entries));
	if (!entries)
		return false;
	if (table->entries) {
		memcpy(entries, table->entries, table->count * sizeof(*entries));
		pa_unmap(table->entries, table->capacity * sizeof(*entries));
	}
	table->entries = entries;
	table->capacity = (uint32_t)capacity;
	return true;
}

/* Appends room for a string table and a NUL; NULL: no memory. */
static char *reserve_names(struct pa_symbols_table *table, uint64_t bytes)
{
	uint64_t all = table->names_bytes + bytes + 1;
	char *names = all <= MAX_NAMES_BYTES ? pa_map(all) : NULL;

	if (!names)
		return NULL;
	if (table->names) {
		memcpy(names, table->names, table->names_bytes);
		pa_unmap(table->names, table->names_bytes);
	}
	char *fresh = names + table->names_bytes;
	table->names = names;
	table->names_bytes = all;
	return fresh;
}

/* End of the code that contains the symbol, the limit for unsized functions; 0: not code. */
static uint64_t symbol_code_limit(const struct source *source, const Elf64_Sym *symbol)
{
	const Elf64_Shdr *section;

	if (!source->elf)
		return source->limit_of(source->arg, symbol->st_value);
	if (symbol->st_shndx >= source->elf->section_count)
		return 0;
	section = &source->elf->sections[symbol->st_shndx];
	if (!(section->sh_flags & SHF_EXECINSTR) || symbol->st_value < section->sh_addr ||
		symbol->st_value - section->sh_addr >= section->sh_size)
		return 0;
	return section->sh_addr + section->sh_size;
}

/* Labels of assembly code have no type; labels of compilers begin with '.' or '$'. */
static bool is_function(const Elf64_Sym *symbol, const char *name)
{
	switch (ELF64_ST_TYPE(symbol->st_info)) {
	case STT_FUNC:
	case STT_GNU_IFUNC: return true;
	case STT_NOTYPE: return name[0] != '.' && name[0] != '$';
	default: return false;
	}
}

static unsigned rank_of(const Elf64_Sym *symbol)
{
	unsigned rank = 0;

	/* An IFUNC symbol has the address of its resolver, which may have a symbol of its own. */
	if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC)
		rank |= RANK_FUNCTION;
	if (symbol->st_size)
		rank |= RANK_SIZED;
	if (ELF64_ST_BIND(symbol->st_info) == STB_LOCAL)
		rank |= RANK_LOCAL;
	return rank;
}

static void take_symbol(const struct source *source, const Elf64_Sym *symbol)
{
	struct pa_symbols_table *table = source->table;
	const char *name = table->names + source->names_at + symbol->st_name;

	if (symbol->st_name >= source->names_bytes || name[0] == '\0' ||
		symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS ||
		symbol->st_value == 0 || symbol->st_value >= PA_ADDRESS_LIMIT ||
		!is_function(symbol, name))
		return;
	uint64_t limit = symbol_code_limit(source, symbol);
	if (limit <= symbol->st_value)
		return;
	uint64_t bytes = symbol->st_size ? symbol->st_size : limit - symbol->st_value;
	table->entries[table->count++] = (struct pa_symbols_entry){
		.address = symbol->st_value,
		.rank = rank_of(symbol),
		.weak = ELF64_ST_BIND(symbol->st_info) == STB_WEAK,
		.bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX,
		.name = source->names_at + symbol->st_name,
	};
}

static bool add_names(struct source *source, const Elf64_Shdr *section)
{
	const struct pa_symbols_elf *elf = source->elf;
	const Elf64_Shdr *strings;

	if (section->sh_link >= elf->section_count)
		return false;
	strings = &elf->sections[section->sh_link];
	if (strings->sh_type != SHT_STRTAB || strings->sh_offset > elf->bytes ||
		strings->sh_size > elf->bytes - strings->sh_offset ||
		!pa_mem_headroom_for(strings->sh_size + section->sh_size))
		return false;
	source->names_at = (uint32_t)source->table->names_bytes;
	source->names_bytes = strings->sh_size;
	char *names = reserve_names(source->table, strings->sh_size);
	return names && pa_symbols_elf_read(elf, names, strings->sh_offset, strings->sh_size);
}

PA_AGENT bool pa_symbols_table_add(struct pa_symbols_table *table, const struct pa_symbols_elf *elf,
	const Elf64_Shdr *section)
{
	struct source source = { .table = table, .elf = elf };
	uint64_t count = section->sh_size / sizeof(Elf64_Sym), done = 0;
	Elf64_Sym batch[BATCH];
	uint32_t before = table->count;

	if (section->sh_entsize != sizeof(Elf64_Sym) || section->sh_size > MAX_SECTION_BYTES ||
		section->sh_offset > elf->bytes ||
		section->sh_size > elf->bytes - section->sh_offset ||
		!add_names(&source, section) || !reserve_entries(table, count))
		return false;
	while (done < count) {
		size_t part = count - done < BATCH ? count - done : BATCH;

		if (!pa_symbols_elf_read(elf, batch, section->sh_offset + done * sizeof(*batch),
			    part * sizeof(*batch)))
			break;
		for (size_t i = 0; i < part; i++)
			take_symbol(&source, &batch[i]);
		done += part;
	}
	return table->count > before;
}

PA_AGENT bool pa_symbols_table_add_symbols(struct pa_symbols_table *table, const Elf64_Sym *symbols,
	uint32_t count, const char *names, size_t names_bytes,
	uint64_t (*limit_of)(void *arg, uint64_t address), void *arg)
{
	struct source source = {
		.table = table, .names_bytes = names_bytes, .limit_of = limit_of, .arg = arg
	};
	uint32_t before = table->count;

	source.names_at = (uint32_t)table->names_bytes;
	char *copy = reserve_names(table, names_bytes);
	if (!copy || !reserve_entries(table, count))
		return false;
	memcpy(copy, names, names_bytes);
	for (uint32_t i = 0; i < count; i++)
		take_symbol(&source, &symbols[i]);
	return table->count > before;
}

/* ---------------------------------------------------------------- order */

static int by_address(const void *left, const void *right)
{
	const struct pa_symbols_entry *a = left, *b = right;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return a->name < b->name ? -1 : a->name > b->name;
}

/*
 * How far a name is from the one that programs use: leading underscores; glibc's own aliases of a
 * function begin with __GI_ or __EI_ and come last. Bounded, because the name of a hostile file can
 * have millions and is compared with each symbol of its address.
 */
static size_t count_reserved(const char *name)
{
	size_t count = 0;

	while (count < MAX_UNDERSCORES && name[count] == '_')
		count++;
	bool is_alias = strncmp(name, "__GI_", 5) == 0 || strncmp(name, "__EI_", 5) == 0;
	return is_alias ? MAX_UNDERSCORES + 1 : count;
}

/* Prefers the usual name of an address: a function over a label, global over local, "read" over
 * "__read", that one over "__GI___read", strong over weak. */
static bool is_better(const struct pa_symbols_table *table, const struct pa_symbols_entry *a,
	const struct pa_symbols_entry *b)
{
	unsigned rank_a = a->rank ^ RANK_LOCAL, rank_b = b->rank ^ RANK_LOCAL;
	const char *name_a = table->names + a->name, *name_b = table->names + b->name;

	if (rank_a != rank_b)
		return rank_a > rank_b;
	size_t reserved_a = count_reserved(name_a), reserved_b = count_reserved(name_b);
	if (reserved_a != reserved_b)
		return reserved_a < reserved_b;
	return a->weak < b->weak;
}

/* Keeps one entry per address; drops labels inside a function of known size. */
static void thin_out(struct pa_symbols_table *table)
{
	struct pa_symbols_entry *entries = table->entries;
	uint64_t sized_limit = 0;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < table->count;) {
		struct pa_symbols_entry best = entries[i];
		uint32_t next = i + 1;

		for (; next < table->count && entries[next].address == best.address; next++) {
			if (is_better(table, &entries[next], &best))
				best = entries[next];
		}
		i = next;
		if (!(best.rank & RANK_SIZED) && best.address < sized_limit)
			continue;
		if (best.rank & RANK_SIZED && best.address + best.bytes > sized_limit)
			sized_limit = best.address + best.bytes;
		entries[kept++] = best;
	}
	table->count = kept;
}

/* Unsized functions end where the next one begins. */
static void end_unsized(struct pa_symbols_table *table)
{
	for (uint32_t i = 0; i + 1 < table->count; i++) {
		struct pa_symbols_entry *entry = &table->entries[i];
		uint64_t room = entry[1].address - entry->address;

		if (!(entry->rank & RANK_SIZED) && entry->bytes > room)
			entry->bytes = (uint32_t)room;
	}
}

/* Moves the entry at root down until no child is larger (heap sort). */
static void sift_down(struct pa_symbols_entry *entries, size_t root, size_t count)
{
	for (size_t child; (child = 2 * root + 1) < count; root = child) {
		struct pa_symbols_entry entry = entries[root];

		if (child + 1 < count && by_address(&entries[child], &entries[child + 1]) < 0)
			child++;
		if (by_address(&entry, &entries[child]) >= 0)
			return;
		entries[root] = entries[child];
		entries[child] = entry;
	}
}

/* Heap sort, in place: libc's qsort() may map memory for a copy, possibly at an address that the
 * program has just unmapped and is about to map again. */
static void sort_entries(struct pa_symbols_entry *entries, size_t count)
{
	for (size_t root = count / 2; root-- > 0;)
		sift_down(entries, root, count);
	for (size_t last = count; last-- > 1;) {
		struct pa_symbols_entry largest = entries[0];

		entries[0] = entries[last];
		entries[last] = largest;
		sift_down(entries, 0, last);
	}
}

PA_AGENT void pa_symbols_table_finish(struct pa_symbols_table *table)
{
	size_t used, all = table->capacity * sizeof(*table->entries);

	if (table->count == 0) {
		pa_symbols_table_free(table);
		return;
	}
	sort_entries(table->entries, table->count);
	thin_out(table);
	end_unsized(table);
	/* Unmaps the room that was reserved for symbols that are not functions. */
	used = PA_ALIGN_UP(table->count * sizeof(*table->entries), PA_PAGE_BYTES);
	if (used < all) {
		pa_unmap((char *)table->entries + used, PA_ALIGN_UP(all, PA_PAGE_BYTES) - used);
		table->capacity = used / sizeof(*table->entries);
	}
}

static size_t versionless_bytes(const char *name)
{
	const char *at = name[0] ? strchr(name + 1, '@') : NULL;

	return at ? (size_t)(at - name) : strlen(name);
}

PA_AGENT bool pa_symbols_table_find(const struct pa_symbols_table *table, uint64_t address,
	struct pa_symbols_match *match)
{
	uint32_t low = 0, high = table->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (table->entries[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (uint32_t tried = 0; low > 0 && tried < MAX_NESTED; tried++) {
		const struct pa_symbols_entry *entry = &table->entries[--low];

		if (address - entry->address >= entry->bytes)
			continue;
		match->start = entry->address;
		match->bytes = entry->bytes;
		match->name = table->names + entry->name;
		match->name_bytes = versionless_bytes(match->name);
		return true;
	}
	return false;
}

PA_AGENT size_t pa_symbols_table_bytes(const struct pa_symbols_table *table)
{
	return table->capacity * sizeof(*table->entries) + table->names_bytes;
}

PA_AGENT void pa_symbols_table_free(struct pa_symbols_table *table)
{
	if (table->entries)
		pa_unmap(table->entries, table->capacity * sizeof(*table->entries));
	if (table->names)
		pa_unmap(table->names, table->names_bytes);
	memset(table, 0, sizeof(*table));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function table of one module: an array sorted by address, with names in the copied string tables.
 *
 * Filled from any number of symbol tables (add), sorted once (finish), then searched. Memory is
 * pa_map's: 16 bytes per function plus the string tables.
 *
 * Context: PA_AGENT, the render thread only. No lock. When full or without memory: add returns
 * false, the entries so far stay.
 */
#ifndef PA_SYMBOLS_TABLE_H
#define PA_SYMBOLS_TABLE_H

#include "symbols_elf.h"

struct pa_symbols_entry;

/* All zero: empty. */
struct pa_symbols_table {
	struct pa_symbols_entry *entries;
	uint32_t count, capacity;
	char *names; /* concatenated string tables, each ends with NUL */
	size_t names_bytes;
};

struct pa_symbols_match {
	uint64_t start, bytes; /* ELF virtual address and size */
	const char *name;      /* as in the string table: may have a version, may not be UTF-8 */
	size_t name_bytes;     /* without the version */
};

/* Adds the functions of a symbol section. False: none usable. */
PA_AGENT bool pa_symbols_table_add(struct pa_symbols_table *table, const struct pa_symbols_elf *elf,
	const Elf64_Shdr *section);

/* Adds functions from symbols in memory; names: their string table of names_bytes. limit_of returns
 * the end of the code that contains an address, 0 if it is not code. */
PA_AGENT bool pa_symbols_table_add_symbols(struct pa_symbols_table *table, const Elf64_Sym *symbols,
	uint32_t count, const char *names, size_t names_bytes,
	uint64_t (*limit_of)(void *arg, uint64_t address), void *arg);

PA_AGENT void pa_symbols_table_finish(struct pa_symbols_table *table);

/* Finds the function that contains the address. False: none. */
PA_AGENT bool pa_symbols_table_find(const struct pa_symbols_table *table, uint64_t address,
	struct pa_symbols_match *match);

PA_AGENT size_t pa_symbols_table_bytes(const struct pa_symbols_table *table);
PA_AGENT void pa_symbols_table_free(struct pa_symbols_table *table);

#endif

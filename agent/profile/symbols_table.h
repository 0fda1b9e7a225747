/*
 * The functions of one module by address: a sorted array over the string tables, names not copied.
 *
 * Filled from any number of symbol tables (add), put in order once (finish), then asked. Memory is
 * pa_map's; 16 bytes a function plus the string tables.
 *
 * Context: PA_AGENT, the render thread only.
 */
#ifndef PA_SYMBOLS_TABLE_H
#define PA_SYMBOLS_TABLE_H

#include "symbols_elf.h"

struct pa_symbols_entry;

/* All zero: empty. */
struct pa_symbols_table {
	struct pa_symbols_entry *entries;
	uint32_t count, capacity;
	char *names; /* string tables one after the other, each ends with NUL */
	size_t names_bytes;
};

struct pa_symbols_match {
	uint64_t start, bytes; /* ELF virtual address and size */
	const char *name;      /* as in the string table: may have a version, may be no UTF-8 */
	size_t name_bytes;     /* without the version */
};

/* The functions of a section of symbols. False when there is nothing usable. */
PA_AGENT bool pa_symbols_table_add(struct pa_symbols_table *table, const struct pa_symbols_elf *elf,
	const Elf64_Shdr *section);

/*
 * Functions out of symbols in memory; names: their string table, names_bytes long. limit_of says
 * where the code that has an address ends, 0 when it is no code.
 */
PA_AGENT bool pa_symbols_table_add_symbols(struct pa_symbols_table *table, const Elf64_Sym *symbols,
	uint32_t count, const char *names, size_t names_bytes,
	uint64_t (*limit_of)(void *arg, uint64_t address), void *arg);

PA_AGENT void pa_symbols_table_finish(struct pa_symbols_table *table);

/* The function that has the address. */
PA_AGENT bool pa_symbols_table_find(const struct pa_symbols_table *table, uint64_t address,
	struct pa_symbols_match *match);

PA_AGENT size_t pa_symbols_table_bytes(const struct pa_symbols_table *table);
PA_AGENT void pa_symbols_table_free(struct pa_symbols_table *table);

#endif

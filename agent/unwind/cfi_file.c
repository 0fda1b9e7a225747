/* SPDX-License-Identifier: Apache-2.0 */
#include "cfi_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/assert.h"
#include "cfi_reader.h"

#define TABLES 64

struct row {
	uint64_t start, limit; /* addresses in the file */
	uint32_t at;           /* offset of the FDE */
};

struct table {
	const struct pa_module *module; /* NULL: free */
	struct pa_cfi_section section;  /* bytes NULL: the module has none */
	bool is_debug;
	struct row *rows; /* sorted */
	size_t count;
};

static struct {
	pa_cfi_load_fn *load;
	struct table tables[TABLES];
	size_t bytes;
	uint32_t next;
	bool inside; /* tables change */
} state;

/* ------------------------------------------------------------------ entries */

static struct pa_cfi_reader section_reader(const struct table *table, uint64_t at)
{
	const struct pa_cfi_section *section = &table->section;
	PA_ASSERT(at <= section->size);
	return (struct pa_cfi_reader){
		.at = section->bytes + at,
		.end = section->bytes + section->size,
		.address = section->address + at,
	};
}

/* A reader behind the length field of the entry at an offset. bad: not an entry. */
static struct pa_cfi_reader open_entry(const struct table *table, uint64_t at)
{
	struct pa_cfi_reader reader = section_reader(table, at);
	uint64_t length = pa_cfi_reader_take(&reader, 4);
	if (reader.bad || length == PA_CFI_ENTRY_LENGTH_64 ||
		length > (size_t)(reader.end - reader.at))
		reader.bad = true;
	else
		reader.end = reader.at + length;
	return reader;
}

static bool read_cie_at(const struct table *table, uint64_t at, struct pa_cfi_entry_cie *cie)
{
	if (at >= table->section.size)
		return false;
	struct pa_cfi_reader reader = open_entry(table, at);
	return pa_cfi_entry_read_cie(&reader, table->is_debug, cie);
}

/* What an FDE says of itself; the reader is then at its program. Entries of .debug_frame have their
 * CIE by its offset in the section, those of .eh_frame by the distance to it. */
static bool read_fde_at(const struct table *table, uint64_t at, struct pa_cfi_entry_cie *cie,
	struct row *row, struct pa_cfi_reader *reader)
{
	*reader = open_entry(table, at);
	uint64_t id_at = at + 4, id = pa_cfi_reader_take(reader, 4);
	if (reader->bad || (!table->is_debug && id > id_at) ||
		!read_cie_at(table, table->is_debug ? id : id_at - id, cie))
		return false;
	row->at = (uint32_t)at;
	return pa_cfi_entry_read_range(reader, cie, &row->start, &row->limit);
}

/* ------------------------------------------------------------------ the index */

/* Calls visit for each FDE that can be read; ends: each entry has 4 bytes at least. */
static size_t each_fde(const struct table *table, struct row *rows)
{
	const struct pa_cfi_section *section = &table->section;
	size_t count = 0;
	for (uint64_t at = 0; at + 8 <= section->size;) {
		uint32_t length, id;
		memcpy(&length, section->bytes + at, sizeof(length));
		memcpy(&id, section->bytes + at + 4, sizeof(id));
		if (length == PA_CFI_ENTRY_LENGTH_64 || length > section->size - at - 4)
			break;
		struct pa_cfi_entry_cie cie;
		struct row row;
		struct pa_cfi_reader reader;
		bool is_fde = length >= 4 &&
			id != (table->is_debug ? PA_CFI_ENTRY_DEBUG_ID : PA_CFI_ENTRY_EH_ID);
		if (is_fde && read_fde_at(table, at, &cie, &row, &reader)) {
			if (rows)
				rows[count] = row;
			count++;
		}
		at += 4 + (uint64_t)length;
	}
	return count;
}

static int by_row_start(const void *a, const void *b)
{
	const struct row *left = a, *right = b;
	return (left->start > right->start) - (left->start < right->start);
}

static void drop_table(struct table *table)
{
	PA_ASSERT(!table->rows || table->section.bytes);
	if (table->rows) {
		pa_unmap(table->rows, table->count * sizeof(table->rows[0]));
		state.bytes -= table->count * sizeof(table->rows[0]);
	}
	if (table->section.bytes) {
		pa_unmap(table->section.bytes, table->section.size);
		state.bytes -= table->section.size;
	}
	*table = (struct table){ .module = NULL };
}

static bool index_table(struct table *table)
{
	table->count = each_fde(table, NULL);
	size_t bytes = table->count * sizeof(table->rows[0]);
	if (!table->count || state.bytes + bytes > PA_CFI_FILE_BYTES)
		return false;
	table->rows = pa_map(bytes);
	if (!table->rows)
		return false;
	state.bytes += bytes;
	table->count = each_fde(table, table->rows);
	PA_ASSERT(table->count * sizeof(table->rows[0]) == bytes);
	qsort(table->rows, table->count, sizeof(table->rows[0]), by_row_start);
	return true;
}

static bool load_table(struct table *table, const struct pa_module *module, const char *name)
{
	*table = (struct table){ .module = module, .is_debug = strcmp(name, ".debug_frame") == 0 };
	if (!state.load(module, name, &table->section)) {
		table->section.bytes = NULL;
		return false;
	}
	state.bytes += table->section.size;
	if (state.bytes <= PA_CFI_FILE_BYTES && index_table(table))
		return true;
	drop_table(table);
	table->module = module;
	return false;
}

/* The table of a module; without rows when it has none. */
static struct table *file_table_of(const struct pa_module *module, bool has_search_table)
{
	struct table *free_one = NULL;
	for (uint32_t i = 0; i < TABLES; i++) {
		struct table *table = &state.tables[i];
		if (table->module == module)
			return table;
		if (table->module && pa_load_relaxed(&table->module->dead))
			drop_table(table);
		if (!table->module)
			free_one = table;
	}
	if (!free_one) {
		free_one = &state.tables[state.next++ % TABLES];
		drop_table(free_one);
	}
	if (!load_table(free_one, module, ".debug_frame") && !has_search_table)
		load_table(free_one, module, ".eh_frame");
	return free_one;
}

void pa_cfi_file_init(pa_cfi_load_fn *load)
{
	state.load = load;
}

void pa_cfi_file_reset(void)
{
	/* Interrupted at any point: what may be half-made stays mapped. */
	for (uint32_t i = 0; i < TABLES && !state.inside; i++)
		drop_table(&state.tables[i]);
	memset(state.tables, 0, sizeof(state.tables));
	state.bytes = 0;
	state.inside = false;
}

static const struct row *find_row_of(const struct table *table, uint64_t address)
{
	size_t low = 0, high = table->rows ? table->count : 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		PA_ASSERT(middle < table->count);
		if (table->rows[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address < table->rows[low - 1].limit ? &table->rows[low - 1] : NULL;
}

int pa_cfi_file_find(uintptr_t ip, bool has_search_table, struct pa_cfi_entry *entry)
{
	const struct pa_module *module = state.load ? pa_maps_find(ip) : NULL;
	if (!module || !module->is_elf)
		return -ENOENT;
	state.inside = true;
	const struct table *table = file_table_of(module, has_search_table);
	state.inside = false;
	const struct row *found = find_row_of(table, ip - module->bias);
	struct row row;
	struct pa_cfi_entry_cie cie;
	struct pa_cfi_reader reader;
	if (!found)
		return -ENOENT;
	if (!read_fde_at(table, found->at, &cie, &row, &reader))
		return -EBADMSG;
	*entry = pa_cfi_entry_make(&cie, module->bias + row.start, module->bias + row.limit,
		&reader);
	PA_ASSERT(ip >= entry->start && ip < entry->limit);
	return 0;
}

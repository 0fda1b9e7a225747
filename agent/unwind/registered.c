/* SPDX-License-Identifier: Apache-2.0 */
#include "registered.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../base/arena.h"
#include "../base/assert.h"
#include "../modules/maps.h"

#define FIRST_ROWS 1024
#define OVERLAPPED_MAX 8                        /* rows that are looked at for one pc */
#define LIST_TABLES_MAX 4096                    /* pointers of an array of tables */
#define SECTION_BYTES_MAX ((uintptr_t)32 << 20) /* one without an end is not read for ever */

/* Larger entries count as broken, as in cfi.h. */
#define CIE_BYTES_MAX 1024
#define FDE_BYTES_MAX (64 * 1024)
#define FDE_HEAD_BYTES 64 /* with the range, and what is in front of the program */

struct row {
	uintptr_t start;
	uint32_t bytes;
	uint32_t slot;   /* of its table */
	int64_t time_ns; /* of its registration; of a gone one: its removal, or later */
	uintptr_t fde;   /* 0: the table is gone */
};

static struct {
	struct pa_unwind_tables *tables;
	struct pa_counters *counters;
	struct row *rows; /* sorted, but for those that are being added */
	uint32_t count, capacity;
	uint64_t adds; /* registrations that the index has */
	int64_t event_ns;
	bool from_scratch;          /* the index lacks tables that are marked as seen */
	PA_ATOMIC(uint32_t) inside; /* rows change; relaxed, for a fork at that moment */
	/* The tables' memory around the last address that was asked for. */
	struct {
		uintptr_t from;
		size_t bytes;
		uint8_t data[PA_PAGE_BYTES];
	} window;
	uint8_t cie[CIE_BYTES_MAX], fde[FDE_BYTES_MAX];
} state;

void pa_registered_init(struct pa_unwind_tables *tables, struct pa_counters *counters)
{
	state.tables = tables;
	state.counters = counters;
}

void pa_registered_reset(void)
{
	if (!pa_load_relaxed(&state.inside))
		return;
	/* Interrupted at any point: what may be half-made stays mapped. */
	state.rows = NULL;
	state.count = state.capacity = 0;
	state.adds = 0;
	state.from_scratch = true;
	pa_store_relaxed(&state.inside, 0);
}

void pa_registered_event(int64_t time_ns)
{
	state.event_ns = time_ns;
}

uint64_t pa_registered_count(void)
{
	return state.tables ? pa_load_acquire(&state.tables->adds) : 0;
}

static void count_cut(void)
{
	if (state.counters)
		pa_add_relaxed(&state.counters->unwind_tables_cut, 1);
}

/* ------------------------------------------------------------------ reading tables */

/* Reads through the window: a page at once, or what is left of one where the next is not readable.
 * What the window has is as old as its last clearing. */
static bool read_table(void *to, uintptr_t from, size_t bytes)
{
	if (bytes > sizeof(state.window.data))
		return pa_maps_read_memory(to, from, bytes);
	uintptr_t offset = from - state.window.from;
	if (offset >= state.window.bytes || state.window.bytes - offset < bytes) {
		size_t all = sizeof(state.window.data), rest = all - from % all;
		bool is_all = pa_maps_read_memory(state.window.data, from, all);
		bool is_rest = !is_all && pa_maps_read_memory(state.window.data, from, rest);
		state.window.from = from;
		state.window.bytes = is_all ? all : is_rest ? rest : 0;
		offset = 0;
	}
	if (state.window.bytes < bytes)
		return false;
	memcpy(to, state.window.data + offset, bytes);
	return true;
}

/* Copies an entry, or of a longer one the first bytes; the reader begins behind its length. */
static bool read_entry_head(struct pa_cfi_reader *reader, uintptr_t at, uint8_t *to, size_t room)
{
	uint32_t length;
	if (!read_table(&length, at, sizeof(length)))
		return false;
	size_t bytes = sizeof(length) + (size_t)length < room ? sizeof(length) + length : room;
	if (!read_table(to, at, bytes))
		return false;
	*reader = (struct pa_cfi_reader){
		.at = to + sizeof(length),
		.end = to + bytes,
		.address = at + sizeof(length),
	};
	return true;
}

/* Copies an entry that is as long as its length in the copy says. */
static bool read_entry(struct pa_cfi_reader *reader, uintptr_t at, uint8_t *to, size_t room)
{
	uint32_t length;
	if (!read_entry_head(reader, at, to, room))
		return false;
	memcpy(&length, to, sizeof(length));
	return length == (size_t)(reader->end - reader->at);
}

/* The CIE of the FDE that the reader is at the begin of. *at: of the one that *cie is of already;
 * 0: none. */
static bool read_cie_of(struct pa_cfi_reader *fde, uintptr_t *at, struct pa_cfi_entry_cie *cie)
{
	uintptr_t id_at = fde->address;
	uintptr_t cie_at = id_at - (uintptr_t)pa_cfi_reader_take(fde, 4);
	struct pa_cfi_reader reader;
	if (fde->bad || cie_at >= id_at)
		return false;
	if (cie_at == *at)
		return true;
	*at = 0;
	if (!read_entry(&reader, cie_at, state.cie, sizeof(state.cie)) ||
		!pa_cfi_entry_read_cie(&reader, false, cie))
		return false;
	*at = cie_at;
	return true;
}

/* ------------------------------------------------------------------ the index */

static bool has_row_room(void)
{
	if (state.count < state.capacity)
		return true;
	uint32_t capacity = state.capacity ? state.capacity * 2 : FIRST_ROWS;
	struct row *rows = capacity <= PA_REGISTERED_ROWS ? pa_map(capacity * sizeof(*rows)) : NULL;
	if (!rows)
		return false;
	if (state.count)
		memcpy(rows, state.rows, state.count * sizeof(*rows));
	pa_unmap(state.rows, state.capacity * sizeof(*rows));
	state.rows = rows;
	state.capacity = capacity;
	return true;
}

/* A table that is being read. */
struct source {
	uint32_t slot;
	int64_t time_ns;
	uintptr_t cie_at; /* of the last FDE; 0: none */
	struct pa_cfi_entry_cie cie;
};

/* Adds the FDE at an address. False: it is not used. */
static bool add_fde(struct source *source, uintptr_t at)
{
	struct pa_cfi_reader reader;
	uint64_t start, limit;
	if (!read_entry_head(&reader, at, state.fde, FDE_HEAD_BYTES) ||
		!read_cie_of(&reader, &source->cie_at, &source->cie) ||
		!pa_cfi_entry_read_range(&reader, &source->cie, &start, &limit) ||
		limit - start > UINT32_MAX || limit > PA_ADDRESS_LIMIT)
		return false;
	PA_ASSERT(state.count < state.capacity);
	state.rows[state.count++] = (struct row){ .start = start,
		.bytes = (uint32_t)(limit - start),
		.slot = source->slot,
		.time_ns = source->time_ns,
		.fde = at };
	return true;
}

/*
 * The FDEs of the section at an address, up to its end: a length of 0. Where it begins with an FDE,
 * only that one: LLVM's libunwind, which programs may have in place of libgcc, registers them so.
 * Ends: each entry has 4 bytes at least.
 */
static void add_section(struct source *source, uintptr_t begin)
{
	bool whole = true;
	for (uintptr_t at = begin; whole && at - begin < SECTION_BYTES_MAX && has_row_room();) {
		struct {
			uint32_t length, id;
		} head;
		if (!read_table(&head.length, at, sizeof(head.length)))
			break;
		if (!head.length)
			return;
		if (head.length == PA_CFI_ENTRY_LENGTH_64 || head.length < sizeof(head.id) ||
			!read_table(&head, at, sizeof(head)))
			break;
		bool is_fde = head.id != PA_CFI_ENTRY_EH_ID;
		if (is_fde && !add_fde(source, at))
			count_cut();
		whole = at != begin || !is_fde;
		at += sizeof(head.length) + head.length;
	}
	if (whole)
		count_cut();
}

static void add_list(struct source *source, uintptr_t begin)
{
	PA_ASSERT(source->slot < PA_UNWIND_TABLES_SLOTS);
	for (uint32_t i = 0; i < LIST_TABLES_MAX; i++) {
		uintptr_t section;
		if (!read_table(&section, begin + i * sizeof(section), sizeof(section)))
			break;
		if (!section)
			return;
		add_section(source, section);
	}
	count_cut();
}

/* Its rows count if it is there after they were read. */
static void add_slot(uint32_t i)
{
	struct pa_unwind_tables_slot *slot = &pa_load_acquire(&state.tables->slots)[i];
	uint64_t value = pa_load_acquire(&slot->state);
	uint32_t before = state.count;
	if (!(value & PA_UNWIND_TABLES_FILLED) ||
		(value & PA_UNWIND_TABLES_SEEN && !state.from_scratch))
		return;
	struct source source = { .slot = i, .time_ns = pa_unwind_tables_time_ns(value) };
	uintptr_t begin = pa_load_relaxed(&slot->begin);
	state.window.bytes = 0;
	if (value & PA_UNWIND_TABLES_LIST)
		add_list(&source, begin);
	else
		add_section(&source, begin);
	if (!pa_unwind_tables_mark(slot, source.time_ns, PA_UNWIND_TABLES_SEEN))
		state.count = before;
}

static void add_group(uint32_t group)
{
	for (uint32_t i = 0; i < PA_UNWIND_TABLES_GROUP_SLOTS; i++)
		add_slot(group * PA_UNWIND_TABLES_GROUP_SLOTS + i);
}

static struct pa_unwind_tables_slot *slot_of(const struct row *row)
{
	PA_ASSERT(row >= state.rows && row < state.rows + state.count);
	return &pa_load_acquire(&state.tables->slots)[row->slot];
}

/* Its slot has a later time by now. */
static void note_gone(struct row *row)
{
	if (row->fde)
		row->time_ns = pa_unwind_tables_time_ns(pa_load_acquire(&slot_of(row)->state));
	row->fde = 0;
}

/* Drops rows of tables that are gone, but for those that were there when the current stack was
 * recorded. */
static void purge_rows(void)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < state.count; i++) {
		struct row *row = &state.rows[i];
		if (row->fde && !pa_unwind_tables_is_there(slot_of(row), row->time_ns))
			note_gone(row);
		if (row->fde || row->time_ns >= state.event_ns)
			state.rows[kept++] = *row;
	}
	PA_ASSERT(kept <= state.count);
	state.count = kept;
}

static int by_row_address(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	return (a->start > b->start) - (a->start < b->start);
}

/* Merges new rows, sorted and elsewhere, into the first old ones, from the end on. */
static void merge_rows(uint32_t old, const struct row *added, uint32_t count)
{
	uint32_t to = old + count;
	PA_ASSERT(to <= state.capacity);
	while (count) {
		bool is_old = old && state.rows[old - 1].start > added[count - 1].start;
		state.rows[--to] = is_old ? state.rows[--old] : added[--count];
	}
}

/* Rows from sorted on are new. */
static void sort_rows(uint32_t sorted)
{
	uint32_t count = state.count - sorted;
	size_t bytes = count * sizeof(struct row);
	struct row *added = count && sorted ? pa_map(bytes) : NULL;
	if (!added) {
		qsort(state.rows, state.count, sizeof(struct row), by_row_address);
		return;
	}
	memcpy(added, state.rows + sorted, bytes);
	qsort(added, count, sizeof(struct row), by_row_address);
	merge_rows(sorted, added, count);
	pa_unmap(added, bytes);
}

static void add_new_tables(void)
{
	for (uint32_t i = 0; i < PA_UNWIND_TABLES_GROUPS / 64; i++) {
		uint64_t changed = pa_load_relaxed(&state.tables->changed[i]);
		if (changed)
			changed = pa_swap_acq_rel(&state.tables->changed[i], 0);
		if (state.from_scratch)
			changed = UINT64_MAX;
		for (; changed; changed &= changed - 1)
			add_group(i * 64 + (uint32_t)__builtin_ctzll(changed));
	}
	state.from_scratch = false;
}

static void update_index(void)
{
	uint64_t adds = pa_registered_count();
	if (adds == state.adds)
		return;
	PA_ASSERT(!pa_load_relaxed(&state.inside));
	pa_store_relaxed(&state.inside, 1);
	pa_fence_signal();
	state.adds = adds;
	purge_rows();
	uint32_t sorted = state.count;
	add_new_tables();
	if (state.count > sorted)
		sort_rows(sorted);
	pa_fence_signal();
	pa_store_relaxed(&state.inside, 0);
}

/* Number of rows that begin at ip or before. */
static uint32_t count_before(uintptr_t ip)
{
	uint32_t low = 0, high = state.count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (state.rows[middle].start <= ip)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ------------------------------------------------------------------ an entry */

static bool read_row_entry(const struct row *row, struct pa_cfi_entry *entry)
{
	struct pa_cfi_reader reader;
	struct pa_cfi_entry_cie cie;
	uintptr_t cie_at = 0;
	uint64_t start, limit;
	state.window.bytes = 0;
	if (!read_entry(&reader, row->fde, state.fde, sizeof(state.fde)) ||
		!read_cie_of(&reader, &cie_at, &cie) ||
		!pa_cfi_entry_read_range(&reader, &cie, &start, &limit) || start != row->start ||
		limit - start != row->bytes)
		return false;
	PA_ASSERT(row->bytes);
	*entry = pa_cfi_entry_make(&cie, start, limit, &reader);
	return true;
}

/* 0; -ESTALE: its table was not there when the stack was recorded, or is not any more; -ENOENT: it
 * was gone by then. */
static int use_row(struct row *row, struct pa_cfi_entry *entry)
{
	/* Before its memory is read: what removes it then sees that its rules may be cached. */
	if (row->fde && !pa_unwind_tables_mark(slot_of(row), row->time_ns, PA_UNWIND_TABLES_USED))
		note_gone(row);
	if (!row->fde)
		return state.event_ns <= row->time_ns ? -ESTALE : -ENOENT;
	if (state.event_ns < row->time_ns)
		return -ESTALE;
	bool good = read_row_entry(row, entry);
	if (!pa_unwind_tables_is_there(slot_of(row), row->time_ns))
		return -ESTALE;
	return good ? 0 : -EBADMSG;
}

int pa_registered_find(uintptr_t ip, struct pa_cfi_entry *entry)
{
	if (!pa_registered_count())
		return -ENOENT;
	update_index();
	int error = -ENOENT;
	uint32_t before = count_before(ip);
	/* Also those of tables that are gone. */
	for (uint32_t i = 0; i < OVERLAPPED_MAX && i < before; i++) {
		struct row *row = &state.rows[before - 1 - i];
		int found = ip - row->start < row->bytes ? use_row(row, entry) : -ENOENT;
		if (found == 0 || found == -EBADMSG)
			return found;
		if (found == -ESTALE)
			error = found;
	}
	return error;
}

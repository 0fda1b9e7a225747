/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_unit.h"

#include <dwarf.h>
#include <errno.h>
#include <libelf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../base/clock.h"
#include "symbols.h"
#include "mem_headroom.h"

/* Entries or ranges between two checks of the deadline. */
#define CHECK_EVERY 64
/* Units indexed before libdw's memory for them is freed. */
#define LIST_BATCH 256
/* Covers a unit's header, and the first entry of most units. */
#define HEADER_BYTES 64
#define FIRST_ENTRY_BYTES 4096
#define ABBREV_BYTES ((uint64_t)64 << 10)
/* Memory of a file's large parts above which they are evicted. */
#define USED_BYTES ((size_t)12 << 20)
/* Upper bound of libdw's memory per byte of a line table: one byte can be one row. */
#define LINE_COST_BYTES 144
#define MAX_NESTING 64

/* Parts that are small, or needed throughout: loaded as a whole. */
static const enum pa_symbols_part needed_whole[] = { PA_SYMBOLS_PART_LINE_STR,
	PA_SYMBOLS_PART_RANGES, PA_SYMBOLS_PART_RNGLISTS, PA_SYMBOLS_PART_ADDR,
	PA_SYMBOLS_PART_STR_OFFSETS };

/* ---------------------------------------------------------------- tools */

PA_AGENT bool pa_symbols_unit_is_late(struct pa_symbols_clock *clock)
{
	if (++clock->steps % CHECK_EVERY == 0 && pa_clock_thread_cpu_ns() > clock->deadline_ns)
		clock->late = true;
	return clock->late;
}

/* Ranges at 0 belong to code that the linker dropped. */
PA_AGENT bool pa_symbols_unit_add_ranges(struct pa_symbols_clock *clock,
	struct pa_symbols_ranges *to, Dwarf_Die *die, uint64_t what)
{
	Dwarf_Addr base, low, high;
	ptrdiff_t offset = 0;

	while (!pa_symbols_unit_is_late(clock) &&
		(offset = dwarf_ranges(die, offset, &base, &low, &high)) > 0) {
		struct pa_symbols_range range = { low, high, what };

		if (low != 0 && low < high && !pa_symbols_ranges_add(to, &range))
			return false;
	}
	return true;
}

/* libdw's handler must not return. All work that may run out of memory is guarded. */
static void __attribute__((noreturn)) out_of_memory(void)
{
	for (;;) {
		pa_symbols_bail();
		pause();
	}
}

/* Opens [from, from + bytes) of the units in libdw, with the given head of the image. */
static Dwarf *show_units(struct pa_symbols_debug *file, unsigned head, uint64_t from,
	uint64_t bytes, Elf **elf)
{
	size_t size;
	char *at = pa_symbols_image_head(&file->image, head, from, bytes, &size);
	Dwarf *dwarf;

	elf_version(EV_CURRENT);
	*elf = elf_memory(at, size);
	dwarf = *elf ? dwarf_begin_elf(*elf, DWARF_C_READ, NULL) : NULL;
	if (!dwarf)
		return NULL;
	dwarf_new_oom_handler(dwarf, out_of_memory);
	if (file->shared && file->shared->whole)
		dwarf_setalt(dwarf, file->shared->whole);
	return dwarf;
}

static void hide_units(Dwarf **dwarf, Elf **elf)
{
	if (*dwarf)
		dwarf_end(*dwarf);
	if (*elf)
		elf_end(*elf);
	*dwarf = NULL;
	*elf = NULL;
}

/* A failed load is a timeout if the deadline has passed, otherwise damage. */
static bool note_loaded(const struct pa_symbols_debug *file, bool good)
{
	if (!good && pa_clock_thread_cpu_ns() > file->clock->deadline_ns)
		file->clock->late = true;
	return good;
}

/* ---------------------------------------------------------------- files */

PA_AGENT int pa_symbols_unit_open_file(struct pa_symbols_debug *file,
	const struct pa_symbols_source sources[PA_SYMBOLS_PART_COUNT])
{
	int error = pa_symbols_image_make(&file->image, sources);

	if (error)
		return error;
	pa_symbols_units_begin(file->units, &file->elf,
		pa_symbols_image_bytes(&file->image, PA_SYMBOLS_PART_INFO));
	return 0;
}

static void close_unit(struct pa_symbols_unit *unit)
{
	hide_units(&unit->dwarf, &unit->elf);
	pa_symbols_ranges_free(&unit->functions);
	memset(unit, 0, sizeof(*unit));
}

static void close_units(struct pa_symbols_debug *file)
{
	for (size_t i = 0; i < PA_COUNT(file->slots); i++)
		close_unit(&file->slots[i]);
}

PA_AGENT void pa_symbols_unit_close_file(struct pa_symbols_debug *file)
{
	close_units(file);
	hide_units(&file->whole, &file->whole_elf);
}

PA_AGENT bool pa_symbols_unit_tidy(struct pa_symbols_debug *file)
{
	if (file->image.used <= USED_BYTES)
		return false;
	close_units(file);
	pa_symbols_image_evict(&file->image);
	return true;
}

static bool load_whole_parts(struct pa_symbols_debug *file)
{
	file->image.deadline_ns = file->clock->deadline_ns;
	for (size_t i = 0; i < PA_COUNT(needed_whole); i++) {
		if (!note_loaded(file, pa_symbols_image_load_all(&file->image, needed_whole[i])))
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------- indexing units */

/* The range of the file that libdw has open. */
struct window {
	struct pa_symbols_debug *file;
	uint64_t from, bytes;
};

static bool load_in(const struct window *window, uint64_t offset, uint64_t bytes)
{
	uint64_t left = window->bytes - offset;

	return note_loaded(window->file,
		pa_symbols_image_load(&window->file->image, PA_SYMBOLS_PART_INFO,
			window->from + offset, bytes < left ? bytes : left));
}

static bool load_abbrevs(struct pa_symbols_debug *file, uint64_t from, uint64_t bytes)
{
	uint64_t all = pa_symbols_image_bytes(&file->image, PA_SYMBOLS_PART_ABBREV);

	if (from > all)
		return false;
	return note_loaded(file,
		pa_symbols_image_load(&file->image, PA_SYMBOLS_PART_ABBREV, from,
			bytes < all - from ? bytes : all - from));
}

/* Returns the first entry of a unit and its type. False: damaged. */
static bool first_entry(const struct window *window, const struct pa_symbols_listed *unit,
	Dwarf_Die *die, uint8_t *type)
{
	uint64_t offset = unit->at - window->from;

	return load_in(window, offset, FIRST_ENTRY_BYTES) &&
		load_abbrevs(window->file, unit->abbrev, ABBREV_BYTES) &&
		dwarf_offdie(window->file->whole, offset + unit->header_bytes, die) &&
		dwarf_cu_info(die->cu, NULL, type, NULL, NULL, NULL, NULL, NULL) == 0;
}

/* Indexes the unit at *offset of the window and advances *offset. False: none left, or no time. */
static bool list_one(const struct window *window, uint64_t *offset, bool with_code)
{
	struct pa_symbols_debug *file = window->file;
	struct pa_symbols_units *units = file->units;
	size_t header_bytes, ranges = units->ranges.count;
	Dwarf_Off next, abbrev;
	Dwarf_Die die;

	if (!load_in(window, *offset, HEADER_BYTES) ||
		dwarf_next_unit(file->whole, *offset, &next, &header_bytes, NULL, &abbrev, NULL,
			NULL, NULL, NULL) != 0 ||
		next <= *offset || next - *offset > UINT32_MAX || next > window->bytes)
		return false;
	struct pa_symbols_listed unit = { .at = window->from + *offset,
		.abbrev = abbrev,
		.bytes = (uint32_t)(next - *offset),
		.header_bytes = (uint8_t)header_bytes };
	if (first_entry(window, &unit, &die, &unit.type) && with_code &&
		(unit.type == DW_UT_compile || unit.type == DW_UT_skeleton) &&
		!pa_symbols_unit_add_ranges(file->clock, &units->ranges, &die, units->count))
		file->clock->late = true;
	if (file->clock->late || !pa_symbols_units_add(units, &unit)) {
		file->clock->late = true;
		units->ranges.count = ranges;
		return false;
	}
	units->next = window->from + next;
	*offset = next;
	return true;
}

/* Some code of the ranges from first on is wanted. */
static bool are_wanted(const struct pa_symbols_units *units, size_t first,
	const struct pa_symbols_wants *wants)
{
	bool wanted = false;

	for (size_t i = first; wants && i < units->ranges.count; i++) {
		const struct pa_symbols_range *range = &units->ranges.at[i];

		wanted |= wants->is_wanted(wants->arg, range->low, range->high);
	}
	return wanted;
}

/* False: no units are left, or (*wanted) the last one is wanted. */
static bool list_batch(struct pa_symbols_debug *file, bool with_code,
	const struct pa_symbols_wants *wants, bool *wanted)
{
	uint64_t all = pa_symbols_image_bytes(&file->image, PA_SYMBOLS_PART_INFO);
	struct window window = { file, file->units->next, all - file->units->next };
	uint64_t offset = 0;
	unsigned count = 0;
	size_t ranges = file->units->ranges.count;

	file->whole = show_units(file, 0, window.from, window.bytes, &file->whole_elf);
	while (file->whole && !*wanted && count < LIST_BATCH && offset < window.bytes &&
		!pa_symbols_unit_is_late(file->clock) && list_one(&window, &offset, with_code)) {
		*wanted = are_wanted(file->units, ranges, wants);
		ranges = file->units->ranges.count;
		count++;
	}
	hide_units(&file->whole, &file->whole_elf);
	if (*wanted)
		return false;
	pa_symbols_unit_tidy(file);
	return count == LIST_BATCH && offset < window.bytes;
}

/* False: the clock is late, or (*wanted) the last unit is wanted. */
static bool complete_list(struct pa_symbols_debug *file, bool with_code,
	const struct pa_symbols_wants *wants, bool *wanted)
{
	if (file->units->complete)
		return true;
	close_units(file); /* they point to their places in the index, which grows */
	if (with_code && !load_whole_parts(file))
		return false;
	while (!file->clock->late && list_batch(file, with_code, wants, wanted))
		;
	if (*wanted || file->clock->late)
		return false;
	pa_symbols_units_finish(file->units);
	return true;
}

PA_AGENT bool pa_symbols_unit_list(struct pa_symbols_debug *file, bool with_code,
	const struct pa_symbols_wants *wants)
{
	bool wanted = false;

	file->image.deadline_ns = file->clock->deadline_ns;
	if (complete_list(file, with_code, wants, &wanted) && !with_code && !file->whole)
		file->whole = show_units(file, 0, 0,
			pa_symbols_image_bytes(&file->image, PA_SYMBOLS_PART_INFO),
			&file->whole_elf);
	return wanted;
}

/* ---------------------------------------------------------------- one unit */

static struct pa_symbols_unit *slot_for(struct pa_symbols_debug *file,
	const struct pa_symbols_unit *keep)
{
	struct pa_symbols_unit *unit;

	do {
		unit = &file->slots[file->next_slot++ % PA_SYMBOLS_UNIT_SLOTS];
	} while (unit == keep);
	close_unit(unit);
	return unit;
}

PA_AGENT const char *pa_symbols_unit_text(const struct pa_symbols_unit *unit, const char *text)
{
	struct pa_symbols_debug *file = unit->file;

	if (!text)
		return NULL;
	/* Text outside of all images belongs to libdw. */
	while (file &&
		((uintptr_t)text < (uintptr_t)file->image.at ||
			(uintptr_t)text >= (uintptr_t)file->image.at + file->image.bytes))
		file = file->shared;
	return !file || note_loaded(file, pa_symbols_image_load_text(&file->image, text)) ? text :
											    NULL;
}

PA_AGENT const char *pa_symbols_unit_root_text(struct pa_symbols_unit *unit, unsigned name)
{
	Dwarf_Attribute attribute;

	if (!dwarf_attr(&unit->root, name, &attribute))
		return NULL;
	return pa_symbols_unit_text(unit, dwarf_formstring(&attribute));
}

static bool open_in(struct pa_symbols_unit *unit, unsigned head)
{
	struct pa_symbols_debug *file = unit->file;
	const struct pa_symbols_listed *listed = unit->listed;
	uint64_t end = pa_symbols_units_abbrev_end(file->units, listed,
		pa_symbols_image_bytes(&file->image, PA_SYMBOLS_PART_ABBREV));

	if (!load_whole_parts(file) ||
		!note_loaded(file,
			pa_symbols_image_load(&file->image, PA_SYMBOLS_PART_INFO, listed->at,
				listed->bytes)) ||
		listed->abbrev > end || !load_abbrevs(file, listed->abbrev, end - listed->abbrev))
		return false;
	unit->dwarf = show_units(file, head, listed->at, listed->bytes, &unit->elf);
	if (!unit->dwarf || !dwarf_offdie(unit->dwarf, listed->header_bytes, &unit->root))
		return false;
	/* libdw prepends the directory to file names. */
	unit->directory = pa_symbols_unit_root_text(unit, DW_AT_comp_dir);
	return true;
}

PA_AGENT struct pa_symbols_unit *pa_symbols_unit_open(struct pa_symbols_debug *file,
	struct pa_symbols_listed *listed, const struct pa_symbols_unit *keep)
{
	for (size_t i = 0; i < PA_COUNT(file->slots); i++) {
		if (file->slots[i].listed == listed)
			return &file->slots[i];
	}
	if (!pa_mem_headroom_for(listed->bytes)) {
		file->clock->late = true;
		return NULL;
	}
	struct pa_symbols_unit *unit = slot_for(file, keep);
	unit->file = file;
	unit->listed = listed;
	if (open_in(unit, 1 + (unsigned)(unit - file->slots)))
		return unit;
	close_unit(unit);
	return NULL;
}

/* Length of a line table including its length field; 0: none. */
static uint64_t line_bytes(const char *at, uint64_t left)
{
	uint64_t long_length;
	uint32_t length;

	if (left < sizeof(length) + sizeof(long_length))
		return 0;
	memcpy(&length, at, sizeof(length));
	memcpy(&long_length, at + sizeof(length), sizeof(long_length));
	if (length != UINT32_MAX)
		return length <= left - sizeof(length) ? length + sizeof(length) : left;
	left -= sizeof(length) + sizeof(long_length);
	return (long_length < left ? long_length : left) + sizeof(length) + sizeof(long_length);
}

PA_AGENT bool pa_symbols_unit_load_lines(struct pa_symbols_unit *unit)
{
	struct pa_symbols_debug *file = unit->file;
	uint64_t all = pa_symbols_image_bytes(&file->image, PA_SYMBOLS_PART_LINE);
	const char *lines = file->image.at + file->image.parts[PA_SYMBOLS_PART_LINE].at;
	Dwarf_Attribute attribute;
	Dwarf_Word at;

	if (unit->has_lines)
		return true;
	if (!dwarf_attr(&unit->root, DW_AT_stmt_list, &attribute) ||
		dwarf_formudata(&attribute, &at) != 0 || at >= all)
		return false;
	/* File names are in .debug_str then. */
	if (!pa_symbols_image_bytes(&file->image, PA_SYMBOLS_PART_LINE_STR) &&
		pa_symbols_image_bytes(&file->image, PA_SYMBOLS_PART_STR) <= USED_BYTES &&
		!note_loaded(file, pa_symbols_image_load_all(&file->image, PA_SYMBOLS_PART_STR)))
		return false;
	uint64_t bytes = all - at < HEADER_BYTES ? all - at : HEADER_BYTES;
	if (!note_loaded(file,
		    pa_symbols_image_load(&file->image, PA_SYMBOLS_PART_LINE, at, bytes)))
		return false;
	bytes = line_bytes(lines + at, all - at);
	if (!pa_mem_headroom_for(bytes * LINE_COST_BYTES)) {
		file->clock->late = true;
		return false;
	}
	unit->has_lines = note_loaded(file,
		pa_symbols_image_load(&file->image, PA_SYMBOLS_PART_LINE, at, bytes));
	return unit->has_lines;
}

/* ---------------------------------------------------------------- functions of a unit */

/* Entries that can contain functions. Functions inside functions (methods of local classes) are
 * rare, and searched only if no other function contains the address. */
static bool may_have_functions(int tag, bool deep)
{
	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type: return true;
	case DW_TAG_subprogram:
	case DW_TAG_inlined_subroutine:
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block: return deep;
	default: return false;
	}
}

static bool collect_functions(struct pa_symbols_unit *unit, Dwarf_Die *parent, bool deep,
	unsigned depth)
{
	struct pa_symbols_clock *clock = unit->file->clock;
	Dwarf_Die die;
	bool good = true;

	if (depth > MAX_NESTING || dwarf_child(parent, &die) != 0)
		return true;
	do {
		int tag = dwarf_tag(&die);

		if (tag == DW_TAG_subprogram)
			good = pa_symbols_unit_add_ranges(clock, &unit->functions, &die,
				dwarf_dieoffset(&die));
		if (good && may_have_functions(tag, deep))
			good = collect_functions(unit, &die, deep, depth + 1);
	} while (good && !pa_symbols_unit_is_late(clock) && dwarf_siblingof(&die, &die) == 0);
	return good;
}

/* Collects the functions of a unit, at least to this depth. */
static bool list_functions(struct pa_symbols_unit *unit, bool deep)
{
	struct pa_symbols_clock *clock = unit->file->clock;

	if (unit->deep || (unit->shallow && !deep))
		return true;
	unit->functions.count = 0;
	if (!collect_functions(unit, &unit->root, deep, 0))
		clock->late = true;
	if (clock->late)
		return false;
	pa_symbols_ranges_sort(&unit->functions);
	unit->shallow = true;
	unit->deep = deep;
	return true;
}

PA_AGENT const struct pa_symbols_range *pa_symbols_unit_function(struct pa_symbols_unit *unit,
	uint64_t address)
{
	const struct pa_symbols_range *found = NULL;

	for (int deep = 0; deep < 2 && !found; deep++) {
		if (!list_functions(unit, deep))
			return NULL;
		found = pa_symbols_ranges_find(unit->functions.at, unit->functions.count, address);
	}
	return found;
}

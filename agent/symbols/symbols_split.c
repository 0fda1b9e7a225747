/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_split.h"

#include <dwarf.h>
#include <stdio.h>
#include <string.h>

#include "../base/arena.h"
#include "../modules/maps.h"

/* Columns of the index of a package; more are of no standard. */
#define MAX_COLUMNS 16
#define MAX_INDEX_BYTES ((uint64_t)64 << 20)

/* Section numbers in the index of a package, DWARF 5 (7.3.5.3), the same in its GNU forerunner but
 * for ranges. */
#define COLUMN_RNGLISTS 8

/* An open split unit. */
struct pa_symbols_split {
	struct pa_symbols_debug file;
	struct pa_symbols_units units;
	const struct pa_symbols_listed *skeleton; /* that it belongs to */
	struct pa_symbols_unit *unit;             /* NULL: there is none */
};

/* The start of an index. */
struct index_header {
	uint32_t version, columns, units, slots;
};

/* ---------------------------------------------------------------- packages */

/* What part a column of the index tells of, or PA_SYMBOLS_PART_COUNT. */
static enum pa_symbols_part part_of_column(uint32_t column, uint32_t version)
{
	switch (column) {
	case 1: return PA_SYMBOLS_PART_INFO;
	case 3: return PA_SYMBOLS_PART_ABBREV;
	case 4: return PA_SYMBOLS_PART_LINE;
	case 6: return PA_SYMBOLS_PART_STR_OFFSETS;
	case COLUMN_RNGLISTS:
		return version >= 5 ? PA_SYMBOLS_PART_RNGLISTS : PA_SYMBOLS_PART_COUNT;
	default: return PA_SYMBOLS_PART_COUNT;
	}
}

static uint32_t index_word(const uint8_t *at, uint64_t index)
{
	uint32_t word;

	memcpy(&word, at + index * sizeof(word), sizeof(word));
	return word;
}

/* The row of the unit with that id; 0: none. ids: slots of them, followed by their rows. */
static uint32_t row_of_unit(const uint8_t *ids, uint32_t slots, uint64_t id)
{
	uint64_t found;

	for (uint32_t i = 0; i < slots; i++) {
		memcpy(&found, ids + i * sizeof(found), sizeof(found));
		uint32_t row = index_word(ids + slots * sizeof(found), i);

		if (found == id && row)
			return row;
	}
	return 0;
}

/* Cuts the sources of a package down to what the unit has of them. */
static bool cut_to_unit(const uint8_t *index, uint64_t bytes, uint64_t id,
	struct pa_symbols_source *sources)
{
	struct index_header header;
	const uint8_t *ids = index + sizeof(header);

	if (bytes < sizeof(header))
		return false;
	memcpy(&header, index, sizeof(header));
	header.version &= 0xffff; /* two bytes since DWARF 5 */
	if (header.columns > MAX_COLUMNS || header.units > bytes || header.slots > bytes ||
		bytes - sizeof(header) < header.slots * UINT64_C(12) +
				header.columns * (1 + 2 * (uint64_t)header.units) * 4)
		return false;
	uint32_t row = row_of_unit(ids, header.slots, id);
	if (row == 0 || row > header.units)
		return false;
	const uint8_t *columns = ids + header.slots * UINT64_C(12);
	const uint8_t *offsets = columns + header.columns * UINT64_C(4);
	const uint8_t *sizes = offsets + (uint64_t)header.columns * header.units * 4;
	for (uint32_t i = 0; i < header.columns; i++) {
		unsigned part = part_of_column(index_word(columns, i), header.version);
		uint64_t at = (uint64_t)(row - 1) * header.columns + i;

		if (part == PA_SYMBOLS_PART_COUNT || !sources[part].file)
			continue;
		uint64_t from = index_word(offsets, at), size = index_word(sizes, at);
		if (from > sources[part].bytes || size > sources[part].bytes - from)
			return false;
		sources[part].from = from;
		sources[part].bytes = size;
	}
	return true;
}

static bool list_package(const struct pa_symbols_elf *elf, uint64_t id,
	struct pa_symbols_source *sources)
{
	const Elf64_Shdr *section = pa_symbols_elf_find(elf, ".debug_cu_index");
	uint8_t *index = section ? pa_symbols_elf_load(elf, section, MAX_INDEX_BYTES) : NULL;
	bool good = index && pa_symbols_image_list(elf, ".dwo", sources) &&
		cut_to_unit(index, section->sh_size, id, sources);

	if (index)
		pa_unmap(index, section->sh_size + 1);
	return good;
}

/* ---------------------------------------------------------------- opening */

/* Address where the code of the unit begins; 0: it is not contiguous. */
static uint64_t start_of(struct pa_symbols_unit *unit)
{
	Dwarf_Addr start;

	return dwarf_lowpc(&unit->root, &start) == 0 ? start : 0;
}

static uint64_t number_of_root(struct pa_symbols_unit *unit, unsigned name, unsigned old_name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	if ((dwarf_attr(&unit->root, name, &attribute) ||
		    dwarf_attr(&unit->root, old_name, &attribute)) &&
		dwarf_formudata(&attribute, &value) == 0)
		return value;
	return 0;
}

/* Adds what the skeleton's file has. */
static void add_source(struct pa_symbols_source *to, const struct pa_symbols_debug *file,
	enum pa_symbols_part part, uint64_t from)
{
	const struct pa_symbols_source *source = &file->image.parts[part].source;

	if (!source->file || from >= source->bytes)
		return;
	*to = *source;
	to->from += from;
	to->bytes -= from;
}

static uint64_t id_of(struct pa_symbols_unit *unit)
{
	uint64_t id = 0;

	dwarf_cu_info(unit->root.cu, NULL, NULL, NULL, NULL, &id, NULL, NULL);
	return id;
}

/* The unit of the open file that has the skeleton's id. */
static struct pa_symbols_unit *unit_with_id(struct pa_symbols_debug *file, uint64_t id)
{
	pa_symbols_unit_list(file, false, NULL);
	for (uint32_t i = 0; i < file->units->count; i++) {
		struct pa_symbols_listed *listed = &file->units->at[i];
		struct pa_symbols_unit *unit = listed->type == DW_UT_split_compile ?
			pa_symbols_unit_open(file, listed, NULL) :
			NULL;

		if (unit && id_of(unit) == id)
			return unit;
	}
	return NULL;
}

static void close_split(struct pa_symbols_split *split, bool with_libdw)
{
	if (with_libdw)
		pa_symbols_unit_close_file(&split->file);
	pa_symbols_image_free(&split->file.image);
	pa_symbols_elf_close(&split->file.elf);
	pa_symbols_units_free(&split->units);
	memset(split, 0, sizeof(*split));
	split->file.elf.fd = -1;
}

static bool open_path_as(struct pa_symbols_split *split, const char *path,
	struct pa_symbols_unit *skeleton, bool package)
{
	struct pa_symbols_debug *own = skeleton->file;
	struct pa_symbols_source sources[PA_SYMBOLS_PART_COUNT];
	uint64_t id = id_of(skeleton);
	int fd = pa_maps_open(path);

	if (fd < 0 || pa_symbols_elf_open(&split->file.elf, fd, path) != 0)
		return false;
	if (package ? list_package(&split->file.elf, id, sources) :
		      pa_symbols_image_list(&split->file.elf, ".dwo", sources)) {
		add_source(&sources[PA_SYMBOLS_PART_ADDR], own, PA_SYMBOLS_PART_ADDR,
			number_of_root(skeleton, DW_AT_addr_base, DW_AT_GNU_addr_base));
		add_source(&sources[PA_SYMBOLS_PART_RANGES], own, PA_SYMBOLS_PART_RANGES,
			number_of_root(skeleton, DW_AT_GNU_ranges_base, DW_AT_GNU_ranges_base));
		split->file.units = &split->units;
		split->file.clock = own->clock;
		if (pa_symbols_unit_open_file(&split->file, sources) == 0)
			split->unit = unit_with_id(&split->file, id);
	}
	split->skeleton = skeleton->listed;
	if (!split->unit) {
		close_split(split, true);
		return false;
	}
	split->unit->skeleton = skeleton;
	split->unit->base = start_of(skeleton);
	if (!split->unit->directory)
		split->unit->directory = skeleton->directory;
	return true;
}

/* Where it may be: as it was built, beside the program, in a package beside the program. */
static void find_and_open(struct pa_symbols_split *split, struct pa_symbols_unit *skeleton)
{
	const char *program = skeleton->file->elf.path, *slash = strrchr(program, '/');
	const char *name = pa_symbols_unit_root_text(skeleton, DW_AT_dwo_name);
	char path[PATH_MAX];

	if (!name)
		name = pa_symbols_unit_root_text(skeleton, DW_AT_GNU_dwo_name);
	if (!name)
		return;
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	const char *directory = name[0] == '/' || !skeleton->directory ? "" : skeleton->directory;
	if (snprintf(path, sizeof(path), "%s%s%s", directory, directory[0] ? "/" : "", name) <
			(int)sizeof(path) &&
		open_path_as(split, path, skeleton, false))
		return;
	if (slash &&
		snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - program), program, base) <
			(int)sizeof(path) &&
		open_path_as(split, path, skeleton, false))
		return;
	if (snprintf(path, sizeof(path), "%s.dwp", program) < (int)sizeof(path))
		open_path_as(split, path, skeleton, true);
}

PA_AGENT struct pa_symbols_unit *pa_symbols_split_open(struct pa_symbols_unit *skeleton)
{
	struct pa_symbols_debug *file = skeleton->file;

	if (!file->split) {
		file->split = pa_map(sizeof(*file->split));
		if (!file->split)
			return NULL;
		file->split->file.elf.fd = -1;
	}
	struct pa_symbols_split *split = file->split;
	if (split->skeleton == skeleton->listed)
		return split->unit;
	close_split(split, true);
	find_and_open(split, skeleton);
	/* That there is none is known, too, unless there was no time. */
	split->skeleton = file->clock->late ? NULL : skeleton->listed;
	return split->unit;
}

PA_AGENT void pa_symbols_split_close(struct pa_symbols_debug *file)
{
	if (!file->split)
		return;
	close_split(file->split, true);
	pa_unmap(file->split, sizeof(*file->split));
	file->split = NULL;
}

PA_AGENT void pa_symbols_split_abandon(struct pa_symbols_debug *file)
{
	if (!file->split)
		return;
	close_split(file->split, false);
	pa_unmap(file->split, sizeof(*file->split));
	file->split = NULL;
}

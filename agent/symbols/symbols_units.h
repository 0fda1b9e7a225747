/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index of the units of a file of debug information, with their code ranges. Built from the start
 * of the file, over several requests if necessary, and kept between them.
 *
 * Context: PA_AGENT, the render thread only. No lock. Memory: pa_map's, 24 bytes per unit and per
 * range. When full or without memory: add returns false.
 */
#ifndef PA_SYMBOLS_UNITS_H
#define PA_SYMBOLS_UNITS_H

#include "symbols_elf.h"
#include "symbols_ranges.h"

struct pa_symbols_listed {
	uint64_t at;     /* in .debug_info */
	uint64_t abbrev; /* in .debug_abbrev */
	uint32_t bytes;
	uint8_t header_bytes;
	uint8_t type;  /* DW_UT_... */
	uint8_t tries; /* requests in which its functions could not be collected in time */
};

/* Code to be looked up; is_wanted is called once for each range of a unit that has been indexed. */
struct pa_symbols_wants {
	bool (*is_wanted)(void *arg, uint64_t low, uint64_t high);
	void *arg;
};

/* All zero: empty. */
struct pa_symbols_units {
	struct pa_symbols_listed *at; /* in file order */
	uint32_t count, capacity;
	struct pa_symbols_ranges
		ranges; /* of code; what: index of the unit; sorted when complete */
	uint64_t next;  /* offset of the first unit that is not indexed */
	bool complete;
	uint64_t device, inode, file_bytes, info_bytes; /* identity of the file */
};

/* Clears the index unless it was built from that file. */
PA_AGENT void pa_symbols_units_begin(struct pa_symbols_units *units,
	const struct pa_symbols_elf *file, uint64_t info_bytes);

/* Adds the next unit in file order. False: no memory. */
PA_AGENT bool pa_symbols_units_add(struct pa_symbols_units *units,
	const struct pa_symbols_listed *unit);

/* Completes the index; adjacent ranges of one unit are merged. */
PA_AGENT void pa_symbols_units_finish(struct pa_symbols_units *units);

/* Unit that contains an offset in .debug_info, or NULL. */
PA_AGENT struct pa_symbols_listed *pa_symbols_units_around(const struct pa_symbols_units *units,
	uint64_t place);

/* Unit that contains a code address, or NULL. Of an incomplete index: the last unit or none. */
PA_AGENT struct pa_symbols_listed *pa_symbols_units_of_code(const struct pa_symbols_units *units,
	uint64_t address);

/* Upper bound of the end of a unit's abbreviations; bytes: size of .debug_abbrev. */
PA_AGENT uint64_t pa_symbols_units_abbrev_end(const struct pa_symbols_units *units,
	const struct pa_symbols_listed *unit, uint64_t bytes);

PA_AGENT size_t pa_symbols_units_bytes(const struct pa_symbols_units *units);
PA_AGENT void pa_symbols_units_free(struct pa_symbols_units *units);

#endif

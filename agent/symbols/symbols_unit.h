/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of debug information and their units, through libdw. Each unit is opened as a file of its
 * own, so closing it frees libdw's memory for it, and a large file costs the memory of a few units.
 *
 * Context: PA_AGENT, the render thread only, inside pa_symbols_guard. No lock. When all slots are
 * in use: the oldest unit is closed.
 */
#ifndef PA_SYMBOLS_UNIT_H
#define PA_SYMBOLS_UNIT_H

#include <elfutils/libdw.h>

#include "symbols_image.h"
#include "symbols_units.h"

/* One head of the image is reserved for indexing units. */
#define PA_SYMBOLS_UNIT_SLOTS (PA_SYMBOLS_HEADS - 1)

/* An open unit. */
struct pa_symbols_unit {
	struct pa_symbols_debug *file;
	struct pa_symbols_listed *listed; /* NULL: the slot is free */
	Elf *elf;
	Dwarf *dwarf;
	Dwarf_Die root;
	const char *directory;            /* of its relative paths, or NULL */
	struct pa_symbols_unit *skeleton; /* has the lines of a split unit; else NULL */
	uint64_t base;  /* that range lists of a split unit may be relative to, or 0 */
	bool has_lines; /* its part of .debug_line is loaded */
	struct pa_symbols_ranges functions; /* by address; what: offset in the unit */
	bool shallow, deep;                 /* depth to which functions were collected */
};

/* Time limit of the work: CPU time of the thread. */
struct pa_symbols_clock {
	int64_t deadline_ns;
	uint32_t steps;
	bool late; /* the deadline has passed, or there is no memory now */
};

struct pa_symbols_split;

/* An open file. */
struct pa_symbols_debug {
	struct pa_symbols_elf elf;
	struct pa_symbols_image image;
	struct pa_symbols_units *units;  /* owned by the caller, kept after the file is closed */
	struct pa_symbols_debug *shared; /* file that its units refer to, or NULL */
	struct pa_symbols_split *split;  /* of the last skeleton unit, or NULL */
	struct pa_symbols_clock *clock;
	Elf *whole_elf; /* the whole file: for strings of other files, and for indexing */
	Dwarf *whole;
	unsigned next_slot;
	struct pa_symbols_unit slots[PA_SYMBOLS_UNIT_SLOTS];
};

PA_AGENT bool pa_symbols_unit_is_late(struct pa_symbols_clock *clock);

/* Adds the code ranges of an entry, each with what. False: no memory. */
PA_AGENT bool pa_symbols_unit_add_ranges(struct pa_symbols_clock *clock,
	struct pa_symbols_ranges *to, Dwarf_Die *die, uint64_t what);

/* Call with elf, units, shared and clock set. Returns 0 or -errno as pa_symbols_image_make. */
PA_AGENT int pa_symbols_unit_open_file(struct pa_symbols_debug *file,
	const struct pa_symbols_source sources[PA_SYMBOLS_PART_COUNT]);
PA_AGENT void pa_symbols_unit_close_file(struct pa_symbols_debug *file);

/* Indexes units until all are done or the clock is late. with_code: including their code ranges.
 * Returns true, earlier, after a unit with code that wants (may be NULL) wants. Closes all open
 * units unless the index is complete. */
PA_AGENT bool pa_symbols_unit_list(struct pa_symbols_debug *file, bool with_code,
	const struct pa_symbols_wants *wants);

/* Frees memory if much is in use; true: open units were closed. Between two look-ups. */
PA_AGENT bool pa_symbols_unit_tidy(struct pa_symbols_debug *file);

/* Opens a unit; keep, if not NULL, stays open, others may be closed. NULL: damaged, or the clock is
 * late. */
PA_AGENT struct pa_symbols_unit *pa_symbols_unit_open(struct pa_symbols_debug *file,
	struct pa_symbols_listed *listed, const struct pa_symbols_unit *keep);

/* Loads the unit's line table. False: none, or no memory for it. */
PA_AGENT bool pa_symbols_unit_load_lines(struct pa_symbols_unit *unit);

/* Function that contains an address. NULL: none, or the clock is late. */
PA_AGENT const struct pa_symbols_range *pa_symbols_unit_function(struct pa_symbols_unit *unit,
	uint64_t address);

/* Loads a text of the file or of its shared file. Returns text, or NULL. */
PA_AGENT const char *pa_symbols_unit_text(const struct pa_symbols_unit *unit, const char *text);

/* Loads a text attribute of the unit's root entry. Returns it, or NULL. */
PA_AGENT const char *pa_symbols_unit_root_text(struct pa_symbols_unit *unit, unsigned name);

#endif

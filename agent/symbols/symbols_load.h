/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symbol table and debug information of one module: each loaded on first use, dropped on request,
 * and loaded again on the next use. The index of units is kept when the debug information is
 * closed.
 *
 * Context: PA_AGENT, the render thread only. No lock. Memory belongs to struct pa_symbols until
 * dropped.
 */
#ifndef PA_SYMBOLS_LOAD_H
#define PA_SYMBOLS_LOAD_H

#include "symbols_dwarf.h"
#include "symbols_names.h"
#include "symbols_table.h"

enum pa_symbols_debug_state {
	PA_SYMBOLS_DEBUG_CLOSED,
	PA_SYMBOLS_DEBUG_OPEN,
	PA_SYMBOLS_DEBUG_NONE
};

/* All zero: nothing loaded. */
struct pa_symbols {
	bool read;      /* the table was loaded */
	uintptr_t bias; /* runtime address - ELF virtual address */
	struct pa_symbols_table table;
	enum pa_symbols_debug_state debug;
	struct pa_symbols_dwarf *dwarf;
	struct pa_symbols_known known;
};

/* Loads the table if necessary. It may stay empty. */
PA_AGENT void pa_symbols_load_table(const struct pa_module *module, struct pa_symbols *symbols);

/* True for a library in a folder that the loader searches: not code of the program. */
PA_AGENT bool pa_symbols_load_is_of_system(const struct pa_module *module);

/*
 * Opens the debug information if necessary: of the file itself, or of its separate debug file.
 * True: it is open. Separate debug files of system libraries are not used: to inflate that of libc
 * for the lines of a few frames costs 70 ms of CPU time in each process.
 */
PA_AGENT bool pa_symbols_load_debug(const struct pa_module *module, struct pa_symbols *symbols);

/* Writes the name of the PLT stub at pc, and its start to entry. False: there is none. */
PA_AGENT bool pa_symbols_load_stub(const struct pa_module *module, const struct pa_symbols *symbols,
	uintptr_t pc, char name[PA_SYMBOLS_NAMES_LONGEST], uintptr_t *entry);

PA_AGENT void pa_symbols_load_drop_table(struct pa_symbols *symbols);
PA_AGENT void pa_symbols_load_drop_debug(struct pa_symbols *symbols);

/*
 * Size of the index of units that is kept while the debug information is closed; and its release.
 */
PA_AGENT size_t pa_symbols_load_known_bytes(const struct pa_symbols *symbols);
PA_AGENT void pa_symbols_load_forget(struct pa_symbols *symbols);

#endif

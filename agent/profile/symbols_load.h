/*
 * What is known of one module: its table of functions and its debug information, each read when
 * first needed, given back when told, and read again.
 *
 * Context: PA_AGENT, the render thread only.
 */
#ifndef PA_SYMBOLS_LOAD_H
#define PA_SYMBOLS_LOAD_H

#include "symbols_dwarf.h"
#include "symbols_table.h"

enum pa_symbols_debug { PA_SYMBOLS_DEBUG_CLOSED, PA_SYMBOLS_DEBUG_OPEN, PA_SYMBOLS_DEBUG_NONE };

/* All zero: nothing read yet. */
struct pa_symbols {
	bool read;      /* the table */
	uintptr_t bias; /* runtime address - ELF virtual address */
	struct pa_symbols_table table;
	enum pa_symbols_debug debug;
	uint32_t late; /* how often it could not be opened in time */
	struct pa_symbols_dwarf *dwarf;
};

/* Reads the table unless that is done. It may stay empty. */
PA_AGENT void pa_symbols_load_table(const struct pa_module *module, struct pa_symbols *symbols);

/* Opens the debug information unless that is done. True when it is open. */
PA_AGENT bool pa_symbols_load_debug(const struct pa_module *module, struct pa_symbols *symbols,
	int64_t deadline_ns);

PA_AGENT void pa_symbols_load_drop_table(struct pa_symbols *symbols);
PA_AGENT void pa_symbols_load_drop_debug(struct pa_symbols *symbols);

#endif

/*
 * Names of locations: functions, files, lines and inlined frames, from the files that are mapped.
 *
 * Context: PA_AGENT, the render thread only (it may take long: reading symbol tables and DWARF).
 * Nothing here holds PA_LOCK_TABLES. Results are owned by symbols.c and live for ever; equal
 * functions are equal pointers.
 */
#ifndef PA_SYMBOLS_H
#define PA_SYMBOLS_H

#include "../base/env.h"
#include "maps.h"
#include "sites.h"

struct pa_function {
	const char *name;        /* demangled; UTF-8 */
	const char *system_name; /* as in the symbol table; equal to name where nothing was
	                            mangled */
	const char *file;        /* "" when unknown */
	uint32_t start_line;     /* 0 when unknown */
	uint32_t mark;           /* for the encoder's id assignment; 0 between encodings */
	uintptr_t entry;         /* runtime address of its first instruction; 0 when unknown */
};

struct pa_frame {
	struct pa_function *function;
	uint32_t line; /* 0 when unknown */
};

#define PA_SYMBOLS_INLINE_MAX 32

/* mode as in the settings. */
PA_AGENT void pa_symbols_init(enum pa_symbols_mode mode);

/*
 * The frames at loc, innermost inlined function first, the function that has the code last; at most
 * max. 0 when nothing is known of it. Pseudo locations have one frame with their constant name.
 */
PA_AGENT uint32_t pa_symbols_lookup(const struct pa_loc *loc, struct pa_frame *frames,
	uint32_t max);

/*
 * The function at an address of /debug/pprof/symbol (which sends profile addresses); NULL when the
 * address is in no executable mapping or has no name.
 */
PA_AGENT struct pa_function *pa_symbols_at(uintptr_t address);

/*
 * A request is done: gives back the memory of debug information, which may be as large as its
 * files, and of symbol tables above a few MiB. What was looked up stays known. The next request has
 * its full share of time for debug information again (so has one after a second of silence).
 */
PA_AGENT void pa_symbols_rest(void);

/*
 * For whoever is about to end the process (abort, __assert_fail): when that is the render thread
 * while it is inside libdw, this does not return, and the lookup goes on without debug information.
 */
PA_AGENT void pa_symbols_bail(void);

/* In a forked child: what its parent was looking up is dropped, what was known stays. */
PA_BOOT void pa_symbols_reset(void);

#endif

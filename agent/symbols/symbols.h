/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symbolizer: functions, files, lines and inlined frames of locations, from the mapped files.
 *
 * Context: PA_AGENT, the render thread only; a call may take seconds (it reads symbol tables and
 * DWARF). Takes no lock and must not be called with PA_LOCK_TABLES held. Results belong to this
 * module and are never freed; equal functions are equal pointers. When the store of names is full:
 * no frames.
 */
#ifndef PA_SYMBOLS_H
#define PA_SYMBOLS_H

#include "../base/env.h"
#include "../modules/maps.h"
#include "../stacks/stack_table.h"

struct pa_function {
	const char *name;        /* demangled; UTF-8 */
	const char *system_name; /* as in the symbol table; equal to name if that is not mangled */
	const char *file;        /* "" if unknown */
	uint32_t start_line;     /* 0 if unknown */
	uint32_t mark;           /* for the encoder's id assignment; 0 between encodings */
	uintptr_t entry;         /* runtime address of the first instruction; 0 if unknown */
};

struct pa_frame {
	struct pa_function *function;
	uint32_t line; /* 0 if unknown */
};

#define PA_SYMBOLS_INLINE_MAX 32

/* Sets the mode of the settings. Before any look-up. */
PA_AGENT void pa_symbols_init(enum pa_env_symbols mode);

/*
 * Fills in the frames of loc, at most max: innermost inlined function first, the function that
 * contains the code last. Returns their number; 0: nothing is known. Pseudo locations have one
 * frame with a constant name.
 */
PA_AGENT uint32_t pa_symbols_lookup(const struct pa_loc *loc, struct pa_frame *frames,
	uint32_t max);

/*
 * Looks up these locations (ids of stacks/stack_table.h) ordered by module, the program's own code
 * first, and by unit, which is much cheaper than in the order of the profile. Begins a request:
 * locations not finished in its time get names without lines, and are continued by the next
 * request. go_on (may be NULL) is called between two locations; false: stop, the rest stays as it
 * is. Returns the number of locations that may have lines but have none yet.
 */
PA_AGENT uint32_t pa_symbols_prepare(const uint32_t *loc_ids, uint32_t count,
	bool (*go_on)(void *arg), void *arg);

/* Number of all locations looked up that have no lines yet. Any thread; statistics only. */
PA_AGENT uint32_t pa_symbols_lacking(void);

/* Function at an address, for /debug/pprof/symbol (which receives addresses of profiles). NULL: the
 * address is not in an executable mapping, or has no name. */
PA_AGENT struct pa_function *pa_symbols_at(uintptr_t address);

/* End of a request: frees debug information, and symbol tables above a few MiB. Answers and indexes
 * of units stay. The next request gets the full time for debug information. */
PA_AGENT void pa_symbols_end_request(void);

/* To be called before the process would be ended (abort, __assert_fail). On the render thread
 * inside libdw it does not return: the look-up continues without debug information. */
PA_AGENT void pa_symbols_bail(void);

/* In a forked child: drops the look-up in progress of the parent; completed results stay. */
PA_BOOT void pa_symbols_reset(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interned functions and strings: equal ones are the same pointer and are never freed. Names are
 * demangled, made valid UTF-8 and limited in length here.
 *
 * Context: PA_AGENT, the render thread only. No lock. When the store is full: NULL.
 */
#ifndef PA_SYMBOLS_NAMES_H
#define PA_SYMBOLS_NAMES_H

#include "demangle.h"
#include "symbols.h"

/* Room for every name that is demangled, and a NUL; longer ones are cut. */
#define PA_SYMBOLS_NAMES_LONGEST (PA_DEMANGLE_MAX + 16)

struct pa_symbols_function {
	const char *system_name; /* mangled, or as in the source */
	size_t system_name_bytes;
	const char *file; /* NULL or "" if unknown */
	bool plain;       /* not mangled, whatever it looks like */
	uint32_t start_line;
	uintptr_t entry;
};

PA_AGENT struct pa_function *pa_symbols_names_function(const struct pa_symbols_function *wanted);

/* Allocates zeroed memory from the same store, for lists of frames. NULL: full. */
PA_AGENT void *pa_symbols_names_alloc(size_t bytes);

/* Copies text with invalid UTF-8 and control bytes replaced by '?', truncated to fit. Returns the
 * length. */
PA_AGENT size_t pa_symbols_names_clean(char *out, size_t size, const char *text, size_t bytes);

/* Forgets everything. Its memory stays, because other data may point to it. */
PA_BOOT void pa_symbols_names_reset(void);

#endif

/*
 * Functions and strings, interned: equal ones are the same pointer, for ever. Names are made fit to
 * be shown here: demangled, valid UTF-8, of bounded length.
 *
 * Context: PA_AGENT, the render thread only. When the memory is full: NULL.
 */
#ifndef PA_SYMBOLS_NAMES_H
#define PA_SYMBOLS_NAMES_H

#include "symbols.h"

struct pa_symbols_function {
	const char *system_name; /* mangled, or as in the source */
	size_t system_name_bytes;
	const char *file;        /* NULL or "" when unknown */
	uint32_t start_line;
	uintptr_t entry;
};

PA_AGENT struct pa_function *pa_symbols_names_function(const struct pa_symbols_function *wanted);

/* Memory from the same store, for lists of frames; zeroed. NULL when it is full. */
PA_AGENT void *pa_symbols_names_alloc(size_t bytes);

/* Copies text, invalid UTF-8 and control bytes as '?', cut where it fits. Returns the length. */
PA_AGENT size_t pa_symbols_names_clean(char *out, size_t size, const char *text, size_t bytes);

/* Everything known is forgotten; its memory is not given back, since others may point to it. */
PA_BOOT void pa_symbols_names_reset(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The function of an address or of a scope of the debug information, with its name.
 *
 * Context: PA_AGENT, the render thread only. No lock. When the store of names is full: NULL.
 */
#ifndef PA_SYMBOLS_RESOLVE_H
#define PA_SYMBOLS_RESOLVE_H

#include "symbols.h"
#include "symbols_load.h"

/* On: functions of stripped files have the names of symbols_unnamed.h. Before any look-up. */
PA_AGENT void pa_symbols_resolve_name_unnamed(bool on);

/* The function at pc by the symbol tables, the stubs and the unwind information. NULL: no name. */
PA_AGENT struct pa_function *pa_symbols_resolve_at(const struct pa_module *module,
	const struct pa_symbols *symbols, uintptr_t pc);

/* Fills in the frames of these scopes, innermost first; names from the symbol table take precedence
 * for the outermost one. Returns the number of frames. */
PA_AGENT uint32_t pa_symbols_resolve_scopes(const struct pa_symbols *symbols, uintptr_t pc,
	const struct pa_symbols_scope *scopes, uint32_t count, struct pa_frame *frames);

#endif

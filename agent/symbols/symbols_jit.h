/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of locations in code made at run time (pa_maps_is_loose). A name that was found stays with
 * its location; locations without one are looked up again by each request, since engines write
 * names late.
 *
 * Context: PA_AGENT, the render thread only. No lock. Memory: 32 bytes per location during a call.
 */
#ifndef PA_SYMBOLS_JIT_H
#define PA_SYMBOLS_JIT_H

#include "symbols.h"

/* Looks up those of the locations that are in such code and have no name. */
PA_AGENT void pa_symbols_jit_prepare(const uint32_t *loc_ids, uint32_t count);

/* The function at an address in such code now, or NULL. */
PA_AGENT struct pa_function *pa_symbols_jit_at(uintptr_t address);

/* The next request gets the full time. */
PA_AGENT void pa_symbols_jit_begin_request(void);

#endif

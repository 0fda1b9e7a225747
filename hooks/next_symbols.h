/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next definitions of many symbols at once, as dlsym(RTLD_NEXT) finds them: dlsym for each of
 * them was a third of the instructions that the agent takes before main.
 *
 * Looks into the objects behind this one up to libc, in the order in which they were loaded, which
 * are never unloaded. Context: PA_APP. No lock, no allocation.
 */
#ifndef PA_NEXT_SYMBOLS_H
#define PA_NEXT_SYMBOLS_H

#include "../agent/base/base.h"

/*
 * names: one string for each of count places, each with its final NUL; an empty one is passed over.
 * Fills in found[i] where it is NULL; leaves those that only dlsym can find: not in these objects,
 * of a kind that the loader has to run code for, or of several versions.
 */
PA_APP void pa_next_symbols_find(const char *names, void **found, size_t count);

/* libc's own definition. NULL: as above. */
PA_APP void *pa_next_symbols_of_libc(const char *name);

#endif

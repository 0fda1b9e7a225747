/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split DWARF: a skeleton unit names a file (.dwo) that has its functions; packages (.dwp) have
 * those of a whole program. What stays in the skeleton's file, addresses and (before DWARF 5)
 * ranges, is shown to libdw together with them as one file.
 *
 * Context: PA_AGENT, the render thread only, inside pa_symbols_guard.
 */
#ifndef PA_SYMBOLS_SPLIT_H
#define PA_SYMBOLS_SPLIT_H

#include "symbols_unit.h"

/*
 * The unit with the functions of a skeleton unit. It stays open until another one is asked for or
 * the skeleton's file is tidied. NULL: not found, of another build, or damaged.
 */
PA_AGENT struct pa_symbols_unit *pa_symbols_split_open(struct pa_symbols_unit *skeleton);

/* Closes what is open for skeletons of the file. */
PA_AGENT void pa_symbols_split_close(struct pa_symbols_debug *file);

/* After libdw was left half done: gives back everything but what libdw has. */
PA_AGENT void pa_symbols_split_abandon(struct pa_symbols_debug *file);

#endif

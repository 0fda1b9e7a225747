/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unloaded modules that were the same file at the same address: a program that loads and unloads a
 * library again and again makes many, and each answer about one holds for all.
 *
 * Context: PA_AGENT, the render thread only. No lock, no memory. A module displaces another one of
 * the same slot, which then has no twins: its locations are looked up.
 */
#ifndef PA_SYMBOLS_TWINS_H
#define PA_SYMBOLS_TWINS_H

#include "../modules/maps.h"

/* The module that was asked for first among equal ones; NULL: it is this one. */
PA_AGENT const struct pa_module *pa_symbols_twins_of(const struct pa_module *module);

PA_BOOT void pa_symbols_twins_reset(void);

#endif

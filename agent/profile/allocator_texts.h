/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts among a module's constants and names, which tell an allocator and its version where symbols
 * do not.
 *
 * Context: PA_AGENT, as allocator_scan.h. No lock, no state.
 */
#ifndef PA_ALLOCATOR_TEXTS_H
#define PA_ALLOCATOR_TEXTS_H

#include "../symbols/symbols_files.h"
#include "allocator_scan.h"

/* Reads a section in pieces, each with a NUL behind it. True as soon as look says so of one. */
PA_AGENT bool pa_allocator_texts_search(const struct pa_symbols_elf *file,
	const Elf64_Shdr *section,
	bool (*look)(struct pa_allocator_scan *scan, const char *piece, size_t bytes),
	struct pa_allocator_scan *scan);

/* True when text stands right before `at`, which is in piece; or at `at`. */
PA_AGENT bool pa_allocator_texts_is_before(const char *piece, const char *at, const char *text);
PA_AGENT bool pa_allocator_texts_is_after(const char *at, const char *text);

/* Fills in the version; and kind and stripped, where the kind is PA_ALLOCATOR_NONE. */
PA_AGENT void pa_allocator_texts_find(const struct pa_symbols_elf *file,
	struct pa_allocator_scan *scan);

#endif

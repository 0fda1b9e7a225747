/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorted list of address ranges, each with a number. Memory is pa_map's and bounded: many entries
 * of debug information can refer to one list of ranges, so a small file can expand to any number.
 *
 * Context: PA_AGENT, the render thread only. No lock. When full (PA_SYMBOLS_RANGES_BYTES) or
 * without memory: add returns false.
 */
#ifndef PA_SYMBOLS_RANGES_H
#define PA_SYMBOLS_RANGES_H

#include "../base/base.h"

/* The largest programs need a tenth, for units or for functions of one unit. */
#define PA_SYMBOLS_RANGES_BYTES ((size_t)128 << 20)

struct pa_symbols_range {
	uint64_t low, high, what; /* [low, high) */
};

/* All zero: empty. */
struct pa_symbols_ranges {
	struct pa_symbols_range *at;
	size_t count, capacity;
};

/* False: no memory, or full. */
PA_AGENT bool pa_symbols_ranges_add(struct pa_symbols_ranges *ranges,
	const struct pa_symbols_range *range);
PA_AGENT void pa_symbols_ranges_sort(struct pa_symbols_ranges *ranges);
PA_AGENT void pa_symbols_ranges_free(struct pa_symbols_ranges *ranges);

/* Innermost range of a sorted list that contains the address, or NULL. */
PA_AGENT const struct pa_symbols_range *
pa_symbols_ranges_find(const struct pa_symbols_range *ranges, size_t count, uint64_t address);

#endif

/*
 * Lists of address ranges, each with what has it, by address. The memory is pa_map's, and bounded:
 * in debug information many entries may name one list of ranges, so a small file can mean any
 * number of them.
 *
 * Context: PA_AGENT, the render thread only.
 */
#ifndef PA_SYMBOLS_RANGES_H
#define PA_SYMBOLS_RANGES_H

#include "../base/base.h"

/* The largest programs have a tenth, of units or of functions of one unit. */
#define PA_SYMBOLS_RANGES_BYTES ((size_t)128 << 20)

struct pa_symbols_range {
	uint64_t low, high, what; /* [low, high) */
};

/* All zero: empty. */
struct pa_symbols_ranges {
	struct pa_symbols_range *at;
	size_t count, capacity;
};

/* False: no memory, or too many. */
PA_AGENT bool pa_symbols_ranges_add(struct pa_symbols_ranges *ranges,
	const struct pa_symbols_range *range);
PA_AGENT void pa_symbols_ranges_sort(struct pa_symbols_ranges *ranges);
PA_AGENT void pa_symbols_ranges_free(struct pa_symbols_ranges *ranges);

/* The innermost one of a sorted list that has the address, or NULL. */
PA_AGENT const struct pa_symbols_range *pa_symbols_ranges_find(
	const struct pa_symbols_range *ranges, size_t count, uint64_t address);

#endif

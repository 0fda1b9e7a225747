/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_ranges.h"

#include <stdlib.h>
#include <string.h>

#include "../base/arena.h"

#define FIRST_CAPACITY 1024
/* Ranges may overlap in unusual debug information: this many are tried. */
#define MAX_OVERLAP 32

PA_AGENT bool pa_symbols_ranges_add(struct pa_symbols_ranges *ranges,
	const struct pa_symbols_range *range)
{
	if (ranges->count == ranges->capacity) {
		size_t capacity = ranges->capacity ? 2 * ranges->capacity : FIRST_CAPACITY;
		size_t bytes = capacity * sizeof(*range);
		void *at = bytes <= PA_SYMBOLS_RANGES_BYTES ? pa_map(bytes) : NULL;

		if (!at)
			return false;
		if (ranges->at) {
			memcpy(at, ranges->at, ranges->count * sizeof(*range));
			pa_unmap(ranges->at, ranges->capacity * sizeof(*range));
		}
		ranges->at = at;
		ranges->capacity = capacity;
	}
	ranges->at[ranges->count++] = *range;
	return true;
}

static int by_low(const void *left, const void *right)
{
	const struct pa_symbols_range *a = left, *b = right;

	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return a->high > b->high ? -1 : a->high < b->high;
}

PA_AGENT void pa_symbols_ranges_sort(struct pa_symbols_ranges *ranges)
{
	if (ranges->count)
		qsort(ranges->at, ranges->count, sizeof(*ranges->at), by_low);
}

PA_AGENT void pa_symbols_ranges_free(struct pa_symbols_ranges *ranges)
{
	if (ranges->at)
		pa_unmap(ranges->at, ranges->capacity * sizeof(*ranges->at));
	memset(ranges, 0, sizeof(*ranges));
}

PA_AGENT const struct pa_symbols_range *
pa_symbols_ranges_find(const struct pa_symbols_range *ranges, size_t count, uint64_t address)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (uint32_t tried = 0; low > 0 && tried < MAX_OVERLAP; tried++) {
		if (address < ranges[--low].high)
			return &ranges[low];
	}
	return NULL;
}

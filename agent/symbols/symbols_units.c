/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_units.h"

#include <string.h>

#include "../base/arena.h"

#define FIRST_CAPACITY 128
/* A unit takes at least twelve bytes in its file. */
#define MAX_UNITS ((uint32_t)1 << 24)
/* Padding that compilers put between two functions, at most. */
#define FILL_BYTES 64

PA_AGENT void pa_symbols_units_begin(struct pa_symbols_units *units,
	const struct pa_symbols_elf *file, uint64_t info_bytes)
{
	if (units->file_bytes == file->bytes && units->inode == file->inode &&
		units->device == file->device && units->info_bytes == info_bytes)
		return;
	pa_symbols_units_free(units);
	units->file_bytes = file->bytes;
	units->inode = file->inode;
	units->device = file->device;
	units->info_bytes = info_bytes;
}

static bool has_unit_room(struct pa_symbols_units *units)
{
	uint32_t capacity = units->capacity ? 2 * units->capacity : FIRST_CAPACITY;
	struct pa_symbols_listed *at;

	if (units->count < units->capacity)
		return true;
	at = capacity <= MAX_UNITS ? pa_map(capacity * sizeof(*at)) : NULL;
	if (!at)
		return false;
	if (units->at) {
		memcpy(at, units->at, units->count * sizeof(*at));
		pa_unmap(units->at, units->capacity * sizeof(*at));
	}
	units->at = at;
	units->capacity = capacity;
	return true;
}

PA_AGENT bool pa_symbols_units_add(struct pa_symbols_units *units,
	const struct pa_symbols_listed *unit)
{
	if (!has_unit_room(units))
		return false;
	units->at[units->count++] = *unit;
	return true;
}

PA_AGENT void pa_symbols_units_finish(struct pa_symbols_units *units)
{
	struct pa_symbols_range *at = units->ranges.at;
	size_t kept = 0;

	pa_symbols_ranges_sort(&units->ranges);
	for (size_t i = 0; i < units->ranges.count; i++) {
		struct pa_symbols_range *last = kept ? &at[kept - 1] : NULL;

		if (last && last->what == at[i].what && at[i].low >= last->high &&
			at[i].low - last->high <= FILL_BYTES)
			last->high = at[i].high;
		else
			at[kept++] = at[i];
	}
	units->ranges.count = kept;
	units->complete = true;
}

PA_AGENT struct pa_symbols_listed *pa_symbols_units_around(const struct pa_symbols_units *units,
	uint64_t place)
{
	uint32_t low = 0, high = units->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (units->at[middle].at <= place)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || place - units->at[low - 1].at >= units->at[low - 1].bytes)
		return NULL;
	return &units->at[low - 1];
}

/* Before ranges are sorted those of the last unit are behind all others. */
static const struct pa_symbols_range *range_of_last(const struct pa_symbols_units *units,
	uint64_t address)
{
	for (size_t i = units->ranges.count; i-- > 0;) {
		const struct pa_symbols_range *range = &units->ranges.at[i];

		if (range->what + 1 != units->count)
			break;
		if (address >= range->low && address < range->high)
			return range;
	}
	return NULL;
}

PA_AGENT struct pa_symbols_listed *pa_symbols_units_of_code(const struct pa_symbols_units *units,
	uint64_t address)
{
	const struct pa_symbols_range *range = units->complete ?
		pa_symbols_ranges_find(units->ranges.at, units->ranges.count, address) :
		range_of_last(units, address);

	return range && range->what < units->count ? &units->at[range->what] : NULL;
}

PA_AGENT uint64_t pa_symbols_units_abbrev_end(const struct pa_symbols_units *units,
	const struct pa_symbols_listed *unit, uint64_t bytes)
{
	for (uint32_t i = 0; i < units->count; i++) {
		uint64_t start = units->at[i].abbrev;

		if (start > unit->abbrev && start < bytes)
			bytes = start;
	}
	return bytes;
}

PA_AGENT size_t pa_symbols_units_bytes(const struct pa_symbols_units *units)
{
	return units->capacity * sizeof(*units->at) +
		units->ranges.capacity * sizeof(*units->ranges.at);
}

PA_AGENT void pa_symbols_units_free(struct pa_symbols_units *units)
{
	if (units->at)
		pa_unmap(units->at, units->capacity * sizeof(*units->at));
	pa_symbols_ranges_free(&units->ranges);
	memset(units, 0, sizeof(*units));
}

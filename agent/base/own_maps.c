/* SPDX-License-Identifier: Apache-2.0 */
#include "own_maps.h"

static PA_LARGE struct pa_own_maps own;

static struct {
	struct pa_own_maps *joined; /* NULL: own; not on its page, which would be read before it is
				     * written, and cost two faults */
} state;

PA_SIGNAL struct pa_own_maps *pa_own_maps(void)
{
	return state.joined ? state.joined : &own;
}

PA_BOOT void pa_own_maps_join(struct pa_own_maps *maps)
{
	state.joined = maps;
}

PA_SIGNAL bool pa_own_maps_are_locked(void)
{
	return pa_load_acquire(&pa_own_maps()->locked) != 0;
}

/* The number of entries in use only grows. */
static void note_used(struct pa_own_maps *maps, uint32_t count)
{
	uint32_t used = pa_load_relaxed(&maps->used);

	/* Ends: the exchange fails only when the count has grown. */
	while (used < count && !pa_cas_relaxed(&maps->used, &used, count))
		;
}

PA_SIGNAL void pa_own_maps_add(void *memory, size_t bytes)
{
	struct pa_own_maps *maps = pa_own_maps();

	if (bytes < PA_OWN_MAPS_LEAST_BYTES)
		return;
	for (uint32_t i = 0; i < PA_OWN_MAPS; i++) {
		uintptr_t free = 0;

		if (pa_load_relaxed(&maps->maps[i].start) ||
			!pa_cas_acq_rel(&maps->maps[i].start, &free, (uintptr_t)memory))
			continue;
		pa_store_relaxed(&maps->maps[i].bytes, bytes);
		note_used(maps, i + 1);
		return;
	}
}

/* Removes [lo, hi) from the entry. False: the range is not in it. */
static bool shrink_map(struct pa_own_map *map, uintptr_t lo, uintptr_t hi)
{
	uintptr_t start = pa_load_acquire(&map->start);
	size_t bytes = pa_load_relaxed(&map->bytes);

	if (!start || lo < start || lo >= start + bytes)
		return false;
	pa_store_relaxed(&map->bytes, 0);
	if (lo > start) {
		pa_store_relaxed(&map->bytes, lo - start);
	} else if (hi < start + bytes) {
		pa_store_release(&map->start, hi);
		pa_store_relaxed(&map->bytes, start + bytes - hi);
	} else {
		pa_store_release(&map->start, 0);
	}
	return true;
}

PA_SIGNAL void pa_own_maps_remove(const void *memory, size_t bytes)
{
	struct pa_own_maps *maps = pa_own_maps();
	uintptr_t lo = (uintptr_t)memory;
	uint32_t used = pa_load_relaxed(&maps->used);

	for (uint32_t i = 0; i < used; i++) {
		if (shrink_map(&maps->maps[i], lo, lo + bytes))
			return;
	}
}

PA_SIGNAL void pa_own_maps_unlock(void *memory, size_t bytes)
{
	const struct pa_own_maps *maps = pa_own_maps();

	if (maps->unlock && bytes)
		maps->unlock(memory, bytes);
}

PA_APP void pa_own_maps_unlock_all(void)
{
	struct pa_own_maps *maps = pa_own_maps();
	uint32_t used = pa_load_relaxed(&maps->used);

	for (uint32_t i = 0; i < used; i++) {
		uintptr_t start = pa_load_acquire(&maps->maps[i].start);

		if (start)
			pa_own_maps_unlock((void *)start, pa_load_relaxed(&maps->maps[i].bytes));
	}
}

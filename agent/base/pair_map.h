/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash maps with keys (group, value) and a number for each key.
 *
 * Hash tables (hash_table.h) with 16 bytes a place, at most 3/4 full, doubled when full. Distribute
 * keys over several maps by pa_pair_map_hash, so that one doubling does not move too much.
 *
 * Context: PA_APP; the caller's lock guards each map. Memory comes from pa_map, and is unmapped
 * only when the map is doubled or freed.
 * When full (no memory): put returns NULL and changes nothing.
 */
#ifndef PA_PAIR_MAP_H
#define PA_PAIR_MAP_H

#include "atomic.h"
#include "base.h"

struct pa_pair_map_table;

/* All zero: empty. */
struct pa_pair_map {
	PA_ATOMIC(struct pa_pair_map_table *) table; /* one word: a forked child sees the old or
						      * the new table */
};

/* The high half chooses the place inside a map: choose the map by the low half. */
PA_APP uint64_t pa_pair_map_hash(uint32_t group, uintptr_t value);

/* The number of the pair, or NULL. This pointer, and that of put, is valid until the map
 * changes. */
PA_APP uint32_t *pa_pair_map_find(const struct pa_pair_map *map, uint32_t group, uintptr_t value);

/* As find, but inserts a missing pair with that number. NULL: no memory. group < UINT32_MAX. */
PA_APP uint32_t *pa_pair_map_put(struct pa_pair_map *map, uint32_t group, uintptr_t value,
	uint32_t number);

/* Removes the pair. False: it is not there; else *number (which may be NULL) is its number. */
PA_APP bool pa_pair_map_take(struct pa_pair_map *map, uint32_t group, uintptr_t value,
	uint32_t *number);

/* Adds to counts[g] the number of values of each group g < groups. */
PA_APP void pa_pair_map_count(const struct pa_pair_map *map, uint32_t *counts, uint32_t groups);

/* How many pairs there are. */
PA_APP uint32_t pa_pair_map_used(const struct pa_pair_map *map);

PA_APP size_t pa_pair_map_bytes(const struct pa_pair_map *map);

/* Unmaps the memory; the map is empty. */
PA_APP void pa_pair_map_free(struct pa_pair_map *map);

/*
 * In a forked child whose parent was changing the map in another thread: afterwards each pair is
 * complete and present once; the pair being put or taken may be there or not. The old memory leaks.
 * No memory: the map is empty.
 */
PA_BOOT void pa_pair_map_mend(struct pa_pair_map *map);

#endif

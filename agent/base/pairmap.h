/*
 * Hash maps of pairs (group, value): which values are in which group, with a number each.
 *
 * Open addressing with linear probing, at most 3/4 full, 16 bytes a place, doubled when full;
 * deleting closes the gap. Cut one map into several by pa_pairmap_hash, so that no single step
 * moves too much.
 *
 * Context: PA_APP; the caller's lock guards each map. Memory comes from pa_map, and is given back
 * only when the map is doubled.
 * When full (no memory): put says NULL, nothing has changed.
 */
#ifndef PA_PAIRMAP_H
#define PA_PAIRMAP_H

#include "atomic.h"
#include "base.h"

struct pa_pairmap_table;

/* All zero: empty. */
struct pa_pairmap {
	PA_ATOMIC(struct pa_pairmap_table *) table; /* one word: a forked child sees a whole one */
	uint32_t used;
};

/* The low bits place a pair in its map: choose a map by the high ones. */
PA_APP uint64_t pa_pairmap_hash(uint32_t group, uintptr_t value);

/* The number of the pair, or NULL. Valid until the map is changed, here and below. */
PA_APP uint32_t *pa_pairmap_find(const struct pa_pairmap *map, uint32_t group, uintptr_t value);

/* The same; a pair that was not there is there now, with that number. NULL: no memory.
 * group < UINT32_MAX. */
PA_APP uint32_t *pa_pairmap_put(struct pa_pairmap *map, uint32_t group, uintptr_t value,
	uint32_t number);

/* False: not there; else it was, with *number (which may be NULL). */
PA_APP bool pa_pairmap_take(struct pa_pairmap *map, uint32_t group, uintptr_t value,
	uint32_t *number);

/* Adds the number of values of each group below groups to counts. */
PA_APP void pa_pairmap_count(const struct pa_pairmap *map, uint32_t *counts, uint32_t groups);

PA_APP size_t pa_pairmap_bytes(const struct pa_pairmap *map);

/* Gives its memory back; empty. */
PA_APP void pa_pairmap_free(struct pa_pairmap *map);

/*
 * In a forked child whose parent was changing the map in that moment, in another thread: every pair
 * is whole and there once. The one being put or taken may be there or not. The old memory is lost.
 * No memory: the map is empty.
 */
PA_BOOT void pa_pairmap_mend(struct pa_pairmap *map);

#endif

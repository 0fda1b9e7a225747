/* SPDX-License-Identifier: Apache-2.0 */
#include "pair_map.h"

#include "hash_table.h"

#define FIRST_PLACES 128u
#define MOST_PLACES (1u << 30)

/* group is written last and cleared first: a place that is marked taken is complete. */
struct place {
	uintptr_t value;
	uint32_t number;
	PA_ATOMIC(uint32_t) group; /* group + 1; 0: free. Release when taken */
};

/* One region with its places, so that one pointer leads to both. */
struct pa_pair_map_table {
	struct pa_hash_table hash;
	struct place places[];
};

_Static_assert(sizeof(struct place) == 16 && sizeof(struct pa_pair_map_table) == 16,
	"the header promises it");

struct pair {
	uint32_t group;
	uintptr_t value;
};

PA_INLINE struct pair pair_of(const struct place *place)
{
	return (struct pair){ pa_load_relaxed(&place->group) - 1, place->value };
}

PA_INLINE bool is_place_taken(const void *place)
{
	return pa_load_relaxed(&((const struct place *)place)->group) != 0;
}

PA_INLINE PA_APP bool is_pair_at(const struct pa_hash_table *unused, const void *place,
	const void *key)
{
	struct pair pair = pair_of(place);
	const struct pair *wanted = key;
	(void)unused;
	return pair.group == wanted->group && pair.value == wanted->value;
}

uint64_t pa_pair_map_hash(uint32_t group, uintptr_t value)
{
	return pa_hash_table_hash(value ^ (uint64_t)group << 40);
}

static PA_APP uint64_t hash_of_place(const struct pa_hash_table *unused, const void *place)
{
	struct pair pair = pair_of(place);
	(void)unused;
	return pa_pair_map_hash(pair.group, pair.value);
}

static void set_place(struct place *place, uint32_t group, uintptr_t value, uint32_t number)
{
	place->value = value;
	place->number = number;
	pa_store_release(&place->group, group + 1);
}

static void copy_place(void *to, const void *from)
{
	struct pair pair = pair_of(from);
	set_place(to, pair.group, pair.value, ((const struct place *)from)->number);
}

static PA_APP void clear_place(void *place)
{
	pa_store_relaxed(&((struct place *)place)->group, 0);
	pa_fence_signal();
}

static const struct pa_hash_table_kind pair_kind = {
	.slot_bytes = sizeof(struct place),
	.is_taken = is_place_taken,
	.has_key = is_pair_at,
	.hash = hash_of_place,
	.copy = copy_place,
	.clear = clear_place,
};

static size_t table_bytes(uint32_t count)
{
	return sizeof(struct pa_pair_map_table) + count * sizeof(struct place);
}

static struct pa_pair_map_table *new_table(uint32_t count)
{
	struct pa_pair_map_table *table = pa_map(table_bytes(count));
	if (table)
		table->hash = (struct pa_hash_table){ table->places, count, 0 };
	return table;
}

static struct pa_pair_map_table *table_of(const struct pa_pair_map *map)
{
	return pa_load_relaxed(&map->table);
}

/* The place of the pair, or the free place for it. Ends: a map is never full. */
PA_INLINE struct place *find_place_of(const struct pa_pair_map_table *table, uint32_t group,
	uintptr_t value)
{
	const struct pair pair = { group, value };
	return pa_hash_table_at(&pair_kind, &table->hash,
		pa_hash_table_find(&pair_kind, &table->hash, pa_pair_map_hash(group, value),
			&pair));
}

/* Copies all pairs and counts them; a pair that occurs twice counts once. */
static void fill_pairs(struct pa_pair_map_table *table, const struct pa_pair_map_table *from)
{
	for (uint32_t i = 0; i < from->hash.capacity; i++) {
		const struct place *place = &from->places[i];
		if (!is_place_taken(place))
			continue;
		struct pair pair = pair_of(place);
		struct place *to = find_place_of(table, pair.group, pair.value);
		table->hash.used += !is_place_taken(to);
		copy_place(to, place);
	}
}

/* True when one more pair fits and free places remain. */
static bool make_pair_room(struct pa_pair_map *map)
{
	struct pa_pair_map_table *table = table_of(map), *larger;
	uint32_t count = table ? table->hash.capacity : 0;
	if (count && !pa_hash_table_is_full(&table->hash))
		return true;
	if (count >= MOST_PLACES)
		return false;
	larger = new_table(count ? 2 * count : FIRST_PLACES);
	if (!larger)
		return false;
	if (table)
		fill_pairs(larger, table);
	pa_store_release(&map->table, larger);
	if (table)
		pa_unmap(table, table_bytes(count));
	return true;
}

uint32_t *pa_pair_map_find(const struct pa_pair_map *map, uint32_t group, uintptr_t value)
{
	struct pa_pair_map_table *table = table_of(map);
	struct place *place = table ? find_place_of(table, group, value) : NULL;
	return place && is_place_taken(place) ? &place->number : NULL;
}

uint32_t *pa_pair_map_put(struct pa_pair_map *map, uint32_t group, uintptr_t value, uint32_t number)
{
	uint32_t *found = pa_pair_map_find(map, group, value);
	if (found)
		return found;
	if (!make_pair_room(map))
		return NULL;
	struct pa_pair_map_table *table = table_of(map);
	struct place *place = find_place_of(table, group, value);
	set_place(place, group, value, number);
	table->hash.used++;
	return &place->number;
}

bool pa_pair_map_take(struct pa_pair_map *map, uint32_t group, uintptr_t value, uint32_t *number)
{
	struct pa_pair_map_table *table = table_of(map);
	struct place *place = table ? find_place_of(table, group, value) : NULL;
	if (!place || !is_place_taken(place))
		return false;
	if (number)
		*number = place->number;
	pa_hash_table_remove(&pair_kind, &table->hash, (uint32_t)(place - table->places));
	return true;
}

void pa_pair_map_count(const struct pa_pair_map *map, uint32_t *counts, uint32_t groups)
{
	const struct pa_pair_map_table *table = table_of(map);
	for (uint32_t i = 0; table && i < table->hash.capacity; i++) {
		struct pair pair = pair_of(&table->places[i]);
		if (pair.group < groups)
			counts[pair.group]++;
	}
}

uint32_t pa_pair_map_used(const struct pa_pair_map *map)
{
	const struct pa_pair_map_table *table = table_of(map);
	return table ? table->hash.used : 0;
}

size_t pa_pair_map_bytes(const struct pa_pair_map *map)
{
	const struct pa_pair_map_table *table = table_of(map);
	return table ? PA_ALIGN_UP(table_bytes(table->hash.capacity), PA_PAGE_BYTES) : 0;
}

void pa_pair_map_free(struct pa_pair_map *map)
{
	struct pa_pair_map_table *table = table_of(map);
	if (table)
		pa_unmap(table, table_bytes(table->hash.capacity));
	*map = (struct pa_pair_map){ .table = NULL };
}

void pa_pair_map_mend(struct pa_pair_map *map)
{
	const struct pa_pair_map_table *old = table_of(map);
	struct pa_pair_map_table *fresh = old ? new_table(old->hash.capacity) : NULL;
	if (fresh)
		fill_pairs(fresh, old);
	pa_store_release(&map->table, fresh);
}

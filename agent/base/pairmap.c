#include "pairmap.h"

#include "arena.h"

#define FIRST_PLACES 128u
#define MOST_PLACES (1u << 30)

/* group is written last and cleared first: a place that says that it is taken is whole. */
struct place {
	uintptr_t value;
	uint32_t number;
	PA_ATOMIC(uint32_t) group; /* + 1; 0: free. Release when it is taken */
};

struct pa_pairmap_table {
	uint32_t mask; /* number of places - 1 */
	uint32_t reserved[3];
	struct place places[];
};

_Static_assert(sizeof(struct place) == 16, "the header promises it");

static size_t table_bytes(uint32_t count)
{
	return sizeof(struct pa_pairmap_table) + count * sizeof(struct place);
}

static struct pa_pairmap_table *new_table(uint32_t count)
{
	struct pa_pairmap_table *table = pa_map(table_bytes(count));
	if (table)
		table->mask = count - 1;
	return table;
}

static struct pa_pairmap_table *table_of(const struct pa_pairmap *map)
{
	return pa_load_relaxed(&map->table);
}

uint64_t pa_pairmap_hash(uint32_t group, uintptr_t value)
{
	uint64_t h = (value ^ value >> 32 ^ (uint64_t)group << 40) * 0xd6e8feb86659fd93u;
	return (h ^ h >> 32) * 0xd6e8feb86659fd93u;
}

static uint32_t home_of(const struct pa_pairmap_table *table, uint32_t group, uintptr_t value)
{
	return (uint32_t)pa_pairmap_hash(group, value) & table->mask;
}

/* The place of the pair, or the free one where it would go. Ends: a map is never quite full. */
static uint32_t probe(const struct pa_pairmap_table *table, uint32_t group, uintptr_t value)
{
	uint32_t i = home_of(table, group, value), found;
	for (; (found = pa_load_relaxed(&table->places[i].group)); i = (i + 1) & table->mask) {
		if (found == group + 1 && table->places[i].value == value)
			break;
	}
	return i;
}

static bool is_taken(const struct pa_pairmap_table *table, uint32_t i)
{
	return pa_load_relaxed(&table->places[i].group) != 0;
}

static void set(struct place *place, uint32_t group, uintptr_t value, uint32_t number)
{
	place->value = value;
	place->number = number;
	pa_store_release(&place->group, group + 1);
}

static void copy(struct place *to, const struct place *from)
{
	set(to, pa_load_relaxed(&from->group) - 1, from->value, from->number);
}

static void clear(struct place *place)
{
	pa_store_relaxed(&place->group, 0);
	pa_fence_signal();
}

/* Returns how many there are; the same pair twice is one. */
static uint32_t fill(struct pa_pairmap_table *table, const struct pa_pairmap_table *from)
{
	uint32_t used = 0;
	for (uint32_t i = 0; i <= from->mask; i++) {
		const struct place *place = &from->places[i];
		if (!is_taken(from, i))
			continue;
		uint32_t to = probe(table, pa_load_relaxed(&place->group) - 1, place->value);
		used += !is_taken(table, to);
		copy(&table->places[to], place);
	}
	return used;
}

/* True when one more fits, with some places left free. */
static bool make_room(struct pa_pairmap *map)
{
	struct pa_pairmap_table *table = table_of(map), *larger;
	uint32_t count = table ? table->mask + 1 : 0;
	if (count && map->used < count - count / 4)
		return true;
	if (count >= MOST_PLACES)
		return false;
	larger = new_table(count ? 2 * count : FIRST_PLACES);
	if (!larger)
		return false;
	if (table)
		fill(larger, table);
	pa_store_release(&map->table, larger);
	if (table)
		pa_unmap(table, table_bytes(count));
	return true;
}

uint32_t *pa_pairmap_find(const struct pa_pairmap *map, uint32_t group, uintptr_t value)
{
	struct pa_pairmap_table *table = table_of(map);
	if (!table)
		return NULL;
	uint32_t i = probe(table, group, value);
	return is_taken(table, i) ? &table->places[i].number : NULL;
}

uint32_t *pa_pairmap_put(struct pa_pairmap *map, uint32_t group, uintptr_t value, uint32_t number)
{
	uint32_t *found = pa_pairmap_find(map, group, value);
	if (found)
		return found;
	if (!make_room(map))
		return NULL;
	struct pa_pairmap_table *table = table_of(map);
	struct place *place = &table->places[probe(table, group, value)];
	set(place, group, value, number);
	map->used++;
	return &place->number;
}

/* Moves what follows the hole back into it, as far as each may go without passing its home. */
static void close_gap(struct pa_pairmap_table *table, uint32_t hole)
{
	clear(&table->places[hole]);
	for (uint32_t i = (hole + 1) & table->mask; is_taken(table, i); i = (i + 1) & table->mask) {
		struct place *place = &table->places[i];
		uint32_t home =
			home_of(table, pa_load_relaxed(&place->group) - 1, place->value);
		/* How far behind its home it stands, and how far behind the hole. */
		if (((i - home) & table->mask) < ((i - hole) & table->mask))
			continue;
		copy(&table->places[hole], place);
		clear(place);
		hole = i;
	}
}

bool pa_pairmap_take(struct pa_pairmap *map, uint32_t group, uintptr_t value, uint32_t *number)
{
	struct pa_pairmap_table *table = table_of(map);
	if (!table)
		return false;
	uint32_t i = probe(table, group, value);
	if (!is_taken(table, i))
		return false;
	if (number)
		*number = table->places[i].number;
	close_gap(table, i);
	map->used--;
	return true;
}

void pa_pairmap_count(const struct pa_pairmap *map, uint32_t *counts, uint32_t groups)
{
	const struct pa_pairmap_table *table = table_of(map);
	for (uint32_t i = 0; table && i <= table->mask; i++) {
		uint32_t group = pa_load_relaxed(&table->places[i].group) - 1;
		if (group < groups)
			counts[group]++;
	}
}

size_t pa_pairmap_bytes(const struct pa_pairmap *map)
{
	const struct pa_pairmap_table *table = table_of(map);
	return table ? PA_ALIGN_UP(table_bytes(table->mask + 1), PA_PAGE_BYTES) : 0;
}

void pa_pairmap_free(struct pa_pairmap *map)
{
	struct pa_pairmap_table *table = table_of(map);
	if (table)
		pa_unmap(table, table_bytes(table->mask + 1));
	*map = (struct pa_pairmap){ 0 };
}

void pa_pairmap_mend(struct pa_pairmap *map)
{
	const struct pa_pairmap_table *old = table_of(map);
	struct pa_pairmap_table *fresh = old ? new_table(old->mask + 1) : NULL;
	map->used = fresh ? fill(fresh, old) : 0;
	pa_store_release(&map->table, fresh);
}

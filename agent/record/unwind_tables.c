/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind_tables.h"

#include "../base/arena.h"
#include "../base/assert.h"
#include "../base/hash_table.h"

#include "../base/banned.h"

#define GROUP_SLOTS PA_UNWIND_TABLES_GROUP_SLOTS
#define TABLES_BYTES (PA_UNWIND_TABLES_SLOTS * sizeof(struct pa_unwind_tables_slot))

/* Maps the slots at the first registration. NULL: no memory. */
static struct pa_unwind_tables_slot *map_slots(struct pa_unwind_tables *tables)
{
	struct pa_unwind_tables_slot *slots = pa_load_acquire(&tables->slots), *none = NULL;
	if (pa_likely(slots != NULL))
		return slots;
	slots = pa_map_table(TABLES_BYTES);
	if (!slots || pa_cas_acq_rel(&tables->slots, &none, slots))
		return slots;
	pa_unmap_table(slots, TABLES_BYTES);
	return none;
}

/* The places where the table may be, i < PLACES: all of one group, then of the one behind it. Each
 * begins in another place of its group. */
#define PLACES (2 * GROUP_SLOTS)

static uint32_t table_place_of(uint64_t hash, uint32_t i)
{
	uint32_t group = (uint32_t)(hash >> 32) + i / GROUP_SLOTS;
	return group % PA_UNWIND_TABLES_GROUPS * GROUP_SLOTS + ((uint32_t)hash + i) % GROUP_SLOTS;
}

static bool has_time(uint64_t state, int64_t time_ns)
{
	return state & PA_UNWIND_TABLES_FILLED && pa_unwind_tables_time_ns(state) == time_ns;
}

/* *state: what it was when it had the table. */
static struct pa_unwind_tables_slot *find_table_slot(struct pa_unwind_tables_slot *slots,
	uintptr_t begin, uint64_t *state)
{
	uint64_t hash = pa_hash_table_hash(begin);
	for (uint32_t i = 0; i < PLACES; i++) {
		struct pa_unwind_tables_slot *slot = &slots[table_place_of(hash, i)];
		*state = pa_load_acquire(&slot->state);
		if (*state & PA_UNWIND_TABLES_FILLED && pa_load_relaxed(&slot->begin) == begin)
			return slot;
	}
	return NULL;
}

/* A state of a time that no other change has. Ends: a failure means that another one succeeded. */
static uint64_t unique_time(struct pa_unwind_tables *tables, int64_t now_ns)
{
	uint64_t last = pa_load_relaxed(&tables->last_ns), time;
	do
		time = (uint64_t)now_ns > last ? (uint64_t)now_ns : last + 1;
	while (!pa_cas_relaxed(&tables->last_ns, &last, time));
	return time << PA_UNWIND_TABLES_FLAG_BITS;
}

static void announce_group(struct pa_unwind_tables *tables, uint32_t group)
{
	pa_or_acq_rel(&tables->changed[group / 64], (uint64_t)1 << group % 64);
	pa_add_acq_rel(&tables->adds, 1);
}

bool pa_unwind_tables_add(struct pa_unwind_tables *tables, uintptr_t begin, bool is_list,
	int64_t now_ns)
{
	PA_ASSERT(begin);
	struct pa_unwind_tables_slot *slots = map_slots(tables);
	if (!slots)
		return false;
	uint64_t state = unique_time(tables, now_ns) | (is_list ? PA_UNWIND_TABLES_LIST : 0);
	uint64_t hash = pa_hash_table_hash(begin);
	for (uint32_t i = 0; i < PLACES; i++) {
		uint32_t place = table_place_of(hash, i);
		struct pa_unwind_tables_slot *slot = &slots[place];
		uint64_t had = pa_load_relaxed(&slot->state);
		if ((had && !(had & PA_UNWIND_TABLES_GONE)) ||
			!pa_cas_acq_rel(&slot->state, &had, state))
			continue;
		pa_store_relaxed(&slot->begin, begin);
		pa_store_release(&slot->state, state | PA_UNWIND_TABLES_FILLED);
		announce_group(tables, place / GROUP_SLOTS);
		return true;
	}
	return false;
}

bool pa_unwind_tables_remove(struct pa_unwind_tables *tables, uintptr_t begin, int64_t now_ns)
{
	struct pa_unwind_tables_slot *slots = pa_load_acquire(&tables->slots);
	uint64_t state;
	struct pa_unwind_tables_slot *slot = slots ? find_table_slot(slots, begin, &state) : NULL;
	if (!slot)
		return false;
	int64_t time_ns = pa_unwind_tables_time_ns(state);
	uint64_t gone = unique_time(tables, now_ns) | PA_UNWIND_TABLES_GONE;
	/* Ends: the collector sets each flag once. Another thread may have removed it. */
	while (has_time(state, time_ns))
		if (pa_cas_acq_rel(&slot->state, &state, gone))
			return state & PA_UNWIND_TABLES_USED;
	return false;
}

bool pa_unwind_tables_mark(struct pa_unwind_tables_slot *slot, int64_t time_ns,
	enum pa_unwind_tables_flag flags)
{
	uint64_t state = pa_load_acquire(&slot->state);
	/* Ends: only a removal makes the exchange fail. */
	while (has_time(state, time_ns))
		if ((state & flags) == flags || pa_cas_acq_rel(&slot->state, &state, state | flags))
			return true;
	return false;
}

bool pa_unwind_tables_is_there(const struct pa_unwind_tables_slot *slot, int64_t time_ns)
{
	/* Behind what was read of the table. */
	pa_fence_acquire();
	return has_time(pa_load_acquire(&slot->state), time_ns);
}

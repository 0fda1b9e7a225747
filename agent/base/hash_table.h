/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash table: open addressing with linear probing, any number of slots. Deletion closes the gap,
 * there are no tombstones.
 *
 * A kind of table is a constant struct of functions over one slot. The operations are inlined into
 * each owner together with the functions of its kind: no call through a pointer remains.
 *
 * The owner decides when a table grows and where its slots come from, by pa_hash_table_grow or by
 * pa_hash_table_move. At least one slot is always free: probing ends there. The high half of a hash
 * chooses the slot; owners with several tables choose the table by the low half.
 *
 * Context: that of the owner, whose lock guards each table. Which tables are not made of this, and
 * why: agent/docs/decisions/27-one-hash-table.md.
 */
#ifndef PA_HASH_TABLE_H
#define PA_HASH_TABLE_H

#include <string.h>

#include "../arch/arch.h"
#include "arena.h"
#include "assert.h"
#include "base.h"
#include "kept_pages.h"

/* All zero: empty, without slots. */
struct pa_hash_table {
	void *slots; /* all zero: free */
	uint32_t capacity, used;
};

/* Slots of zeros are free. */
struct pa_hash_table_kind {
	size_t slot_bytes;
	/* NULL: a slot is one number or one pointer, and in use when it is not zero. */
	bool (*is_taken)(const void *slot);
	/* Of a slot in use. */
	bool (*has_key)(const struct pa_hash_table *table, const void *slot, const void *key);
	uint64_t (*hash)(const struct pa_hash_table *table, const void *slot);
	/* For owners that look at a table which another thread was changing; NULL: bytes. */
	void (*copy)(void *to, const void *from);
	void (*clear)(void *slot);
	bool passing; /* its tables live for one request: kept_pages.h */
};

/* ---- hashes ---- */

/* Hash of one value; all bits are well mixed. */
PA_INLINE uint64_t pa_hash_table_hash(uint64_t value)
{
	uint64_t hash = (value ^ value >> 32) * 0xd6e8feb86659fd93u;
	return (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
}

/* Hash of several values, one call for each; the first hash may be any number. Only the high half
 * is well mixed. */
PA_INLINE uint64_t pa_hash_table_mix(uint64_t hash, uint64_t value)
{
	return (hash ^ hash >> 32 ^ value) * 0x9e3779b97f4a7c15u;
}

/* ---- slots ---- */

PA_INLINE void *pa_hash_table_at(const struct pa_hash_table_kind *kind,
	const struct pa_hash_table *table, uint32_t i)
{
	return (char *)table->slots + i * kind->slot_bytes;
}

/* Scales instead of dividing or masking: the capacity is any number. */
PA_INLINE uint32_t pa_hash_table_home(uint64_t hash, uint32_t capacity)
{
	PA_ASSERT(capacity);
	return (uint32_t)((hash >> 32) * capacity >> 32);
}

PA_INLINE uint32_t pa_hash_table_after(const struct pa_hash_table *table, uint32_t i)
{
	PA_ASSERT(i < table->capacity);
	return i + 1 == table->capacity ? 0 : i + 1;
}

PA_INLINE bool pa_hash_table_is_taken(const struct pa_hash_table_kind *kind,
	const struct pa_hash_table *table, uint32_t i)
{
	const void *slot = pa_hash_table_at(kind, table, i);
	if (kind->is_taken)
		return kind->is_taken(slot);
	return kind->slot_bytes == sizeof(uint32_t) ? *(const uint32_t *)slot != 0 :
						      *(void *const *)slot != NULL;
}

/* The slot with this key, or the free slot for it. The table must have slots. */
PA_INLINE uint32_t pa_hash_table_find(const struct pa_hash_table_kind *kind,
	const struct pa_hash_table *table, uint64_t hash, const void *key)
{
	uint32_t i = pa_hash_table_home(hash, table->capacity);
	while (pa_hash_table_is_taken(kind, table, i) &&
		!kind->has_key(table, pa_hash_table_at(kind, table, i), key))
		i = pa_hash_table_after(table, i);
	return i;
}

/* A slot for a key that is not in the table; the owner must fill it. At least two are free. */
PA_INLINE void *pa_hash_table_add(const struct pa_hash_table_kind *kind,
	struct pa_hash_table *table, uint64_t hash)
{
	PA_ASSERT(table->used < table->capacity);
	uint32_t i = pa_hash_table_home(hash, table->capacity);
	while (pa_hash_table_is_taken(kind, table, i))
		i = pa_hash_table_after(table, i);
	table->used++;
	return pa_hash_table_at(kind, table, i);
}

PA_INLINE void pa_hash_table_copy(const struct pa_hash_table_kind *kind, void *to, const void *from)
{
	if (kind->copy)
		kind->copy(to, from);
	else
		memcpy(to, from, kind->slot_bytes);
}

PA_INLINE void pa_hash_table_clear(const struct pa_hash_table_kind *kind, void *slot)
{
	if (kind->clear)
		kind->clear(slot);
	else
		memset(slot, 0, kind->slot_bytes);
}

/* Frees a slot, and moves the members behind it towards their home slots, none past its home. */
PA_INLINE void pa_hash_table_remove(const struct pa_hash_table_kind *kind,
	struct pa_hash_table *table, uint32_t hole)
{
	PA_ASSERT(table->used);
	pa_hash_table_clear(kind, pa_hash_table_at(kind, table, hole));
	for (uint32_t i = pa_hash_table_after(table, hole); pa_hash_table_is_taken(kind, table, i);
		i = pa_hash_table_after(table, i)) {
		void *slot = pa_hash_table_at(kind, table, i);
		uint32_t home = pa_hash_table_home(kind->hash(table, slot), table->capacity);
		bool home_between = hole < i ? home > hole && home <= i : home > hole || home <= i;
		if (home_between)
			continue;
		pa_hash_table_copy(kind, pa_hash_table_at(kind, table, hole), slot);
		pa_hash_table_clear(kind, slot);
		hole = i;
	}
	table->used--;
}

/* ---- room ---- */

/* Moves all members to other slots, which are free; returns the old slots. */
PA_INLINE void *pa_hash_table_move(const struct pa_hash_table_kind *kind,
	struct pa_hash_table *table, void *slots, uint32_t capacity)
{
	struct pa_hash_table to = { slots, capacity, 0 };
	void *old = table->slots;
	for (uint32_t i = 0; i < table->capacity; i++) {
		const void *slot = pa_hash_table_at(kind, table, i);
		if (pa_hash_table_is_taken(kind, table, i))
			pa_hash_table_copy(kind,
				pa_hash_table_add(kind, &to, kind->hash(table, slot)), slot);
	}
	*table = to;
	return old;
}

/* Whether one member more would fill more than three quarters. */
PA_INLINE bool pa_hash_table_is_full(const struct pa_hash_table *table)
{
	return table->used >= table->capacity - table->capacity / 4;
}

/* The size of slots to grow to, in whole pages: half as many again, or first if there are none. */
PA_INLINE size_t pa_hash_table_next_bytes(const struct pa_hash_table_kind *kind,
	const struct pa_hash_table *table, uint32_t first)
{
	uint64_t count = table->capacity ? (uint64_t)table->capacity + table->capacity / 2 : first;
	return PA_ALIGN_UP((count < UINT32_MAX / 2 ? count : UINT32_MAX / 2) * kind->slot_bytes,
		PA_PAGE_BYTES);
}

PA_INLINE void pa_hash_table_free(const struct pa_hash_table_kind *kind,
	struct pa_hash_table *table)
{
	const size_t bytes = table->capacity * kind->slot_bytes;
	if (kind->passing)
		pa_kept_pages_unmap(table->slots, bytes);
	else if (table->slots)
		pa_unmap(table->slots, bytes);
	*table = (struct pa_hash_table){ 0 };
}

/* Ensures a slot for one member more, from pa_map or pa_kept_pages_map. False: no memory, nothing
 * has changed. */
PA_INLINE bool pa_hash_table_grow(const struct pa_hash_table_kind *kind,
	struct pa_hash_table *table, uint32_t first)
{
	if (pa_likely(!pa_hash_table_is_full(table)))
		return true;
	size_t bytes = pa_hash_table_next_bytes(kind, table, first);
	void *slots = kind->passing ? pa_kept_pages_map(bytes) : pa_map(bytes);
	if (!slots)
		return false;
	struct pa_hash_table old = *table;
	pa_hash_table_move(kind, table, slots, (uint32_t)(bytes / kind->slot_bytes));
	pa_hash_table_free(kind, &old);
	return true;
}

/*
 * ---- numbers ----
 *
 * Slots of a uint32_t, for owners whose members have numbers below PA_HASH_TABLE_NUMBERS. A slot
 * has the number and the low bits of the hash as a tag: members with another tag are not loaded.
 */
#define PA_HASH_TABLE_NUMBER_BITS 21
#define PA_HASH_TABLE_NUMBERS ((1u << PA_HASH_TABLE_NUMBER_BITS) - 1)

PA_INLINE uint32_t pa_hash_table_tagged(uint64_t hash, uint32_t number)
{
	return (uint32_t)hash << PA_HASH_TABLE_NUMBER_BITS | (number + 1);
}

PA_INLINE uint32_t pa_hash_table_number(uint32_t slot)
{
	return (slot & PA_HASH_TABLE_NUMBERS) - 1;
}

/* Whether a slot in use may be of that hash. */
PA_INLINE bool pa_hash_table_tag_fits(uint32_t slot, uint64_t hash)
{
	return (slot ^ (uint32_t)hash << PA_HASH_TABLE_NUMBER_BITS) <= PA_HASH_TABLE_NUMBERS;
}

#endif

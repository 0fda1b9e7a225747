/* SPDX-License-Identifier: Apache-2.0 */
#include "stack_table.h"

#include <errno.h>
#include <string.h>

#include "../base/lock.h"
#include "../base/arena.h"
#include "../base/atomic.h"
#include "../base/hash_table.h"
#include "../unwind/unwind_calls.h"

#define LOC_CHUNK 1024
#define LOC_CHUNKS 1024
#define FIRST_LOC_SLOTS 1024
#define FIRST_STACK_SLOTS 1024
#define MEMO_SLOTS 4096
#define MEMO_SHIFT 52
#define MEMO_FACTOR 0x9e3779b97f4a7c15u

/* No pc, and no complement of one. */
#define RETIRED_KEY PA_ADDRESS_LIMIT

enum { PSEUDO_COUNT = PA_PSEUDO_LIMIT - 1 };

_Static_assert(LOC_CHUNK *LOC_CHUNKS < PA_HASH_TABLE_NUMBERS, "an id is a number of a slot");

static struct {
	struct pa_arena arena; /* stacks and chunks of locations */
	size_t max_bytes;
	size_t table_bytes;                /* slots of both tables */
	struct pa_loc *chunks[LOC_CHUNKS]; /* constant once their ids are returned, unless
					    * stack_table.h has a guard */
	uintptr_t *keys[LOC_CHUNKS];       /* loc_key of each, RETIRED_KEY of retired ones */
	PA_ATOMIC(uint32_t) loc_count;     /* release in add_location, acquire in loc_count */
	uint32_t unplaced;                 /* locations in the table without a module */
	PA_ATOMIC(bool) has_code;          /* one is in code made at run time; relaxed */
	uint16_t code_version;             /* of locations interned now */
	uint32_t renewals;                 /* locations retired by renew_code */
	struct pa_hash_table locs;         /* ids by raw pc */
	struct pa_hash_table stacks;       /* pointers by location ids */
	const struct pa_stack *overflow;
	/* By hash of the pcs: recent stacks are found without a lookup of each location. */
	const struct pa_stack *memo[MEMO_SLOTS];
	uint64_t overflowed;
} state;

static struct pa_loc *loc_at(uint32_t id)
{
	PA_ASSERT(id / LOC_CHUNK < LOC_CHUNKS && state.chunks[id / LOC_CHUNK]);
	return &state.chunks[id / LOC_CHUNK][id % LOC_CHUNK];
}

/* What is_memo compares: less memory than a location, and one word. */
PA_INLINE uintptr_t loc_key(uintptr_t raw_pc, bool leaf)
{
	return leaf ? ~raw_pc : raw_pc;
}

static uintptr_t *key_at(uint32_t id)
{
	PA_ASSERT(id / LOC_CHUNK < LOC_CHUNKS && state.keys[id / LOC_CHUNK]);
	return &state.keys[id / LOC_CHUNK][id % LOC_CHUNK];
}

/* For the collector, the only writer. */
static uint32_t loc_count(void)
{
	return pa_load_relaxed(&state.loc_count);
}

/* The arena's cap is the budget without the tables. */
static void *map_table(size_t bytes)
{
	PA_ASSERT(state.table_bytes + state.arena.mapped_bytes <= state.max_bytes);
	if (state.table_bytes + state.arena.mapped_bytes + bytes > state.max_bytes)
		return NULL;
	void *table = pa_map(bytes);
	if (table)
		state.table_bytes += bytes;
	state.arena.cap_bytes = state.max_bytes - state.table_bytes;
	return table;
}

static void unmap_table(void *table, size_t bytes)
{
	PA_ASSERT(bytes <= state.table_bytes);
	pa_unmap(table, bytes);
	state.table_bytes -= bytes;
	state.arena.cap_bytes = state.max_bytes - state.table_bytes;
}

/*
 * Room for one more: up to 3/4 full, and to 15/16 when the table cannot grow.
 */
PA_INLINE bool make_table_room(const struct pa_hash_table_kind *kind, struct pa_hash_table *table,
	uint32_t first)
{
	if (pa_hash_table_is_full(table)) {
		size_t old_bytes = table->capacity * kind->slot_bytes;
		size_t bytes = pa_hash_table_next_bytes(kind, table, first);
		void *slots = map_table(bytes);
		if (slots)
			unmap_table(pa_hash_table_move(kind, table, slots,
					    (uint32_t)(bytes / kind->slot_bytes)),
				old_bytes);
	}
	return table->used < table->capacity - table->capacity / 16;
}

/* ---- locations ---- */

struct wanted_loc {
	uintptr_t raw_pc;
	uint64_t hash;
	bool leaf;
};

static uint64_t hash_loc(uintptr_t raw_pc)
{
	return pa_hash_table_mix(0, raw_pc);
}

PA_INLINE const struct pa_loc *loc_of_slot(const void *slot)
{
	return loc_at(pa_hash_table_number(*(const uint32_t *)slot));
}

PA_INLINE bool is_wanted_loc(const struct pa_hash_table *unused, const void *slot, const void *key)
{
	const struct wanted_loc *wanted = key;
	(void)unused;
	return pa_hash_table_tag_fits(*(const uint32_t *)slot, wanted->hash) &&
		loc_of_slot(slot)->raw_pc == wanted->raw_pc &&
		loc_of_slot(slot)->leaf == wanted->leaf;
}

static uint64_t hash_of_loc(const struct pa_hash_table *unused, const void *slot)
{
	(void)unused;
	return hash_loc(loc_of_slot(slot)->raw_pc);
}

static const struct pa_hash_table_kind loc_kind = {
	.slot_bytes = sizeof(uint32_t),
	.has_key = is_wanted_loc,
	.hash = hash_of_loc,
};

PA_INLINE uint32_t loc_slot(uintptr_t raw_pc, bool leaf)
{
	const struct wanted_loc wanted = { raw_pc, hash_loc(raw_pc), leaf };
	return pa_hash_table_find(&loc_kind, &state.locs, wanted.hash, &wanted);
}

static bool make_chunk(uint32_t number)
{
	if (state.chunks[number])
		return true;
	char *memory = pa_arena_alloc(&state.arena,
		LOC_CHUNK * (sizeof(struct pa_loc) + sizeof(uintptr_t)));
	if (!memory)
		return false;
	state.chunks[number] = (struct pa_loc *)memory;
	state.keys[number] = (uintptr_t *)(memory + LOC_CHUNK * sizeof(struct pa_loc));
	return true;
}

/* A new location, not in the table yet. NULL when full. */
static struct pa_loc *add_location(uintptr_t pc, uintptr_t raw_pc, bool leaf,
	struct pa_module *module)
{
	uint32_t id = loc_count();
	if (id >= LOC_CHUNK * LOC_CHUNKS)
		return NULL;
	if (!make_chunk(id / LOC_CHUNK))
		return NULL;
	struct pa_loc *loc = loc_at(id);
	*loc = (struct pa_loc){ .pc = pc, .raw_pc = raw_pc, .module = module, .leaf = leaf };
	*key_at(id) = loc_key(raw_pc, leaf);
	pa_store_release(&state.loc_count, id + 1);
	return loc;
}

static bool intern_loc(uintptr_t raw_pc, bool leaf, uint32_t *id)
{
	uint32_t known =
		*(uint32_t *)pa_hash_table_at(&loc_kind, &state.locs, loc_slot(raw_pc, leaf));
	if (known) {
		*id = pa_hash_table_number(known);
		return true;
	}
	uintptr_t pc = leaf ? raw_pc : raw_pc - 1;
	if (pc < PA_PSEUDO_LIMIT)
		pc = PA_PSEUDO_LIMIT; /* no code there, and it must not look like a pseudo pc */
	/* First: may refresh the maps and retire locations. */
	struct pa_module *module = pa_modules_find(pc);
	/* The same instruction may be a leaf elsewhere: a profile has one location for both. */
	if (!leaf && !pa_unwind_calls_may_return_to(raw_pc))
		return intern_loc(raw_pc, true, id);
	struct pa_loc *loc = make_table_room(&loc_kind, &state.locs, 0) ?
		add_location(pc, raw_pc, leaf, module) :
		NULL;
	if (!loc)
		return false;
	if (module)
		pa_modules_sampled(module);
	if (module && pa_maps_is_loose(module)) {
		loc->code_version = state.code_version;
		pa_store_relaxed(&state.has_code, true);
	}
	*id = loc_count() - 1;
	uint64_t hash = hash_loc(raw_pc);
	*(uint32_t *)pa_hash_table_add(&loc_kind, &state.locs, hash) =
		pa_hash_table_tagged(hash, *id);
	state.unplaced += !module;
	return true;
}

static void retire_loc(uint32_t id)
{
	loc_at(id)->retired = true;
	*key_at(id) = RETIRED_KEY;
}

/* Stacks recorded with it keep it; the next stack gets a new location. */
static void retire_location(uint32_t id)
{
	struct pa_loc *loc = loc_at(id);
	PA_ASSERT(!loc->retired);
	pa_hash_table_remove(&loc_kind, &state.locs, loc_slot(loc->raw_pc, loc->leaf));
	retire_loc(id);
	state.unplaced -= !loc->module;
}

static void forget_module(const struct pa_module *module)
{
	for (uint32_t id = 0; id < loc_count(); id++) {
		const struct pa_loc *loc = loc_at(id);
		if (!loc->retired && loc->module == module)
			retire_location(id);
	}
}

static void place_again(void)
{
	for (uint32_t id = 0; state.unplaced && id < loc_count(); id++) {
		const struct pa_loc *loc = loc_at(id);
		if (!loc->retired && !loc->module && pa_maps_find(loc->pc))
			retire_location(id);
	}
}

bool pa_stack_table_has_code_unlocked(void)
{
	return pa_load_relaxed(&state.has_code);
}

static bool is_in_ranges(uintptr_t pc, const struct pa_stack_table_code *ranges, size_t count)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (ranges[middle].limit <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && ranges[low].start <= pc;
}

bool pa_stack_table_renew_code_locked(const struct pa_stack_table_code *ranges, size_t count,
	uint32_t offset)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(offset);
	if (state.code_version == UINT16_MAX || state.renewals >= PA_STACK_TABLE_RENEWALS)
		return false;
	state.code_version++;
	for (uint32_t id = 0; id < loc_count(); id++) {
		struct pa_loc *loc = loc_at(id);
		if (loc->retired || !loc->module || !pa_maps_is_loose(loc->module) ||
			!is_in_ranges(loc->pc, ranges, count))
			continue;
		retire_location(id);
		pa_store_relaxed(&loc->code_until, offset);
		state.renewals++;
	}
	return true;
}

const struct pa_modules_listener pa_stack_table_listener = {
	.forgotten = forget_module,
	.added = place_again,
};

const struct pa_loc *pa_stack_table_loc(uint32_t id)
{
	PA_ASSERT(id < pa_stack_table_loc_count());
	return loc_at(id);
}

uint32_t pa_stack_table_loc_count(void)
{
	return pa_load_acquire(&state.loc_count);
}

/* ---- stacks ---- */

const struct pa_stack *pa_stack_table_find(const struct pa_stack_index_wanted *wanted)
{
	return pa_stack_index_find(&state.stacks, wanted);
}

static const struct pa_stack *intern_wanted(const struct pa_stack_index_wanted *wanted)
{
	const struct pa_stack *known = pa_stack_table_find(wanted);
	if (known)
		return known;
	if (!make_table_room(&pa_stack_index_kind, &state.stacks, 0))
		return NULL;
	return pa_stack_index_add(&state.stacks, &state.arena, wanted, state.stacks.used);
}

bool pa_stack_table_want_locked(const uintptr_t *pcs, uint32_t depth, bool leaf,
	enum pa_pseudo_pc tail, uint32_t *ids, struct pa_stack_index_wanted *wanted)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(depth <= PA_STACK_TABLE_DEPTH);
	for (uint32_t i = 0; i < depth; i++) {
		if (!intern_loc(pcs[i], leaf && i == 0, &ids[i]))
			return false;
	}
	if (tail != PA_PSEUDO_NONE)
		ids[depth++] = tail - 1;
	*wanted = pa_stack_index_want(ids, depth);
	return true;
}

static const struct pa_stack *intern_pcs(const uintptr_t *pcs, uint32_t depth, bool leaf,
	enum pa_pseudo_pc tail)
{
	uint32_t ids[PA_STACK_TABLE_DEPTH + 1];
	struct pa_stack_index_wanted wanted;
	bool room = pa_stack_table_want_locked(pcs, depth, leaf, tail, ids, &wanted);
	return room ? intern_wanted(&wanted) : NULL;
}

/* The products are independent of each other: the processor makes them at the same time. That
 * stacks of the same pcs in another order get other hashes is due to the factors. */
PA_INLINE uint64_t hash_pcs(const uintptr_t *pcs, uint32_t depth)
{
	uint64_t sum = 0, factor = MEMO_FACTOR;
	for (uint32_t i = 0; i < depth; i++, factor += 2 * MEMO_FACTOR)
		sum += (pcs[i] ^ pcs[i] >> 32) * factor;
	return sum ^ sum >> 32;
}

static const struct pa_stack **memo_of(const uintptr_t *pcs, uint32_t depth, bool leaf,
	enum pa_pseudo_pc tail)
{
	uint64_t hash = (uint64_t)depth << 8 | (uint64_t)tail << 1 | leaf;
	hash = pa_hash_table_mix(hash, hash_pcs(pcs, depth));
	return &state.memo[hash >> MEMO_SHIFT];
}

/* True when interning these pcs yields stack. */
static bool is_memo(const struct pa_stack *stack, const uintptr_t *pcs, uint32_t depth, bool leaf,
	enum pa_pseudo_pc tail)
{
	if (stack->depth != depth + (tail != PA_PSEUDO_NONE))
		return false;
	uintptr_t different = 0, bits = 0;
	for (uint32_t i = 0; i < depth; i++) {
		different |= *key_at(stack->locs[i]) ^ loc_key(pcs[i], leaf && i == 0);
		bits |= pcs[i];
	}
	if (different || bits >= PA_ADDRESS_LIMIT)
		return false;
	return tail == PA_PSEUDO_NONE || stack->locs[depth] == (uint32_t)tail - 1;
}

const struct pa_stack *pa_stack_table_intern_locked(const uintptr_t *pcs, uint32_t depth, bool leaf,
	enum pa_pseudo_pc tail)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(pcs || !depth);
	if (depth > PA_STACK_TABLE_DEPTH) {
		depth = PA_STACK_TABLE_DEPTH;
		tail = PA_PSEUDO_CUT;
	}
	const struct pa_stack **memo = memo_of(pcs, depth, leaf, tail);
	if (*memo && is_memo(*memo, pcs, depth, leaf, tail))
		return *memo;
	const struct pa_stack *stack = intern_pcs(pcs, depth, leaf, tail);
	if (!stack) {
		state.overflowed++;
		return state.overflow;
	}
	*memo = stack;
	return stack;
}

const struct pa_stack *pa_stack_table_intern_rest_locked(enum pa_pseudo_pc why,
	uintptr_t start_routine)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	uint32_t ids[2] = { why - 1 };
	/* A function's address is no return address: symbolized as a leaf. */
	bool whole = !start_routine || intern_loc(start_routine, true, &ids[1]);
	const struct pa_stack_index_wanted wanted = pa_stack_index_want(ids, start_routine ? 2 : 1);
	const struct pa_stack *stack = whole ? intern_wanted(&wanted) : NULL;
	if (stack)
		return stack;
	state.overflowed++;
	return state.overflow;
}

const struct pa_stack *pa_stack_table_overflow(void)
{
	return state.overflow;
}

/* ---- life ---- */

/* Their ids are their pseudo pcs - 1. */
static bool add_pseudos(void)
{
	for (uintptr_t pc = 1; pc < PA_PSEUDO_LIMIT; pc++) {
		if (!add_location(pc, pc, false, NULL))
			return false;
		retire_loc((uint32_t)pc - 1);
	}
	return true;
}

static const struct pa_stack *intern_lost(void)
{
	const uint32_t id = PA_PSEUDO_LOST - 1;
	const struct pa_stack_index_wanted wanted = pa_stack_index_want(&id, 1);
	return intern_wanted(&wanted);
}

int pa_stack_table_init(size_t max_bytes)
{
	memset(&state, 0, sizeof(state));
	state.arena = (struct pa_arena)PA_ARENA_INIT("stacks", max_bytes);
	state.max_bytes = max_bytes;
	if (make_table_room(&loc_kind, &state.locs, FIRST_LOC_SLOTS) &&
		make_table_room(&pa_stack_index_kind, &state.stacks, FIRST_STACK_SLOTS) &&
		add_pseudos())
		state.overflow = intern_lost();
	if (state.overflow)
		return 0;
	pa_arena_free(&state.arena);
	pa_hash_table_free(&loc_kind, &state.locs);
	pa_hash_table_free(&pa_stack_index_kind, &state.stacks);
	memset(&state, 0, sizeof(state));
	return -ENOMEM;
}

struct pa_stack_table_stats pa_stack_table_stats(void)
{
	return (struct pa_stack_table_stats){
		.stacks = state.stacks.used,
		.locs = loc_count(),
		.bytes = state.arena.mapped_bytes + state.table_bytes,
		.overflowed = state.overflowed,
	};
}

void pa_stack_table_reset(void)
{
	memset(&state, 0, sizeof(state));
}

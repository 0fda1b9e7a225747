#include "sites.h"

#include <errno.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/atomic.h"
#include "modules.h"

#define LOC_CHUNK 1024
#define LOC_CHUNKS 1024
#define FIRST_HEADS 1024
#define FIRST_SLOTS 1024
#define MEMO_SLOTS 4096

enum { PSEUDO_COUNT = PA_PSEUDO_LIMIT - 1 };

struct entry {
	struct pa_loc loc; /* constant once its id was handed out */
	uint32_t next;     /* in the chain of one head: id + 1, 0 = the last */
	bool leaf;
	bool retired;      /* in no chain: pseudo, or its pc means another module by now */
};

static struct {
	struct pa_arena arena; /* stacks and chunks of locations */
	size_t max_bytes;
	size_t table_bytes;    /* heads and slots */
	struct entry *chunks[LOC_CHUNKS];
	PA_ATOMIC(uint32_t) loc_count; /* release in add_loc, acquire in pa_sites_loc_count */
	uint32_t *heads;       /* id + 1 of the first location, 0 = none */
	uint32_t head_count;   /* power of two */
	uint32_t unplaced;     /* locations in a chain that have no module */
	const struct pa_stack **slots; /* by hash of the location ids; open addressing */
	uint32_t slot_count;   /* power of two */
	uint32_t stack_count;
	const struct pa_stack *overflow;
	/* By hash of the pcs: spares looking up each location of a stack that was seen lately. */
	const struct pa_stack *memo[MEMO_SLOTS];
	uint64_t overflowed;
} state;

static struct entry *entry_at(uint32_t id)
{
	return &state.chunks[id / LOC_CHUNK][id % LOC_CHUNK];
}

/* For the collector itself, which alone adds to it. */
static uint32_t loc_count(void)
{
	return pa_load_relaxed(&state.loc_count);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 32;
}

/* The arena may take what the tables left of the budget. */
static void *map_table(size_t bytes)
{
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
	pa_unmap(table, bytes);
	state.table_bytes -= bytes;
	state.arena.cap_bytes = state.max_bytes - state.table_bytes;
}

/* ---- locations ---- */

static uint32_t *head_of(uintptr_t raw_pc, bool leaf)
{
	return &state.heads[mix(leaf, raw_pc) & (state.head_count - 1)];
}

static void link_loc(uint32_t id)
{
	struct entry *entry = entry_at(id);
	uint32_t *head = head_of(entry->loc.raw_pc, entry->leaf);
	entry->next = *head;
	*head = id + 1;
}

/* Failing to grow is no error: the chains get longer. */
static void grow_heads(void)
{
	uint32_t count = state.head_count * 2;
	uint32_t *heads = map_table(count * sizeof(*heads));
	if (!heads)
		return;
	unmap_table(state.heads, state.head_count * sizeof(*heads));
	state.heads = heads;
	state.head_count = count;
	for (uint32_t id = 0; id < loc_count(); id++) {
		if (!entry_at(id)->retired)
			link_loc(id);
	}
}

/* A new location, not linked yet. NULL when there is no room. */
static struct entry *add_loc(uintptr_t pc, uintptr_t raw_pc, struct pa_module *module)
{
	uint32_t id = loc_count();
	if (id >= LOC_CHUNK * LOC_CHUNKS)
		return NULL;
	struct entry **chunk = &state.chunks[id / LOC_CHUNK];
	if (!*chunk)
		*chunk = pa_arena_alloc(&state.arena, LOC_CHUNK * sizeof(**chunk));
	if (!*chunk)
		return NULL;
	struct entry *entry = entry_at(id);
	entry->loc = (struct pa_loc){ .pc = pc, .raw_pc = raw_pc, .module = module };
	pa_store_release(&state.loc_count, id + 1);
	return entry;
}

static bool find_loc(uintptr_t raw_pc, bool leaf, uint32_t *id)
{
	for (uint32_t next = *head_of(raw_pc, leaf); next; next = entry_at(next - 1)->next) {
		const struct entry *entry = entry_at(next - 1);
		if (entry->loc.raw_pc == raw_pc && entry->leaf == leaf) {
			*id = next - 1;
			return true;
		}
	}
	return false;
}

static bool intern_loc(uintptr_t raw_pc, bool leaf, uint32_t *id)
{
	if (find_loc(raw_pc, leaf, id))
		return true;
	uintptr_t pc = leaf ? raw_pc : raw_pc - 1;
	if (pc < PA_PSEUDO_LIMIT)
		pc = PA_PSEUDO_LIMIT; /* no code there, and it must not pass for one of ours */
	/* First of all: this may read the maps again and retire locations. */
	struct pa_module *module = pa_modules_find(pc);
	if (loc_count() >= state.head_count)
		grow_heads();
	struct entry *entry = add_loc(pc, raw_pc, module);
	if (!entry)
		return false;
	entry->leaf = leaf;
	*id = loc_count() - 1;
	link_loc(*id);
	state.unplaced += !module;
	return true;
}

/* Stacks that were recorded with it keep it; the next stack gets a new location. */
static void retire(uint32_t id)
{
	struct entry *entry = entry_at(id);
	uint32_t *link = head_of(entry->loc.raw_pc, entry->leaf);
	while (*link != id + 1)
		link = &entry_at(*link - 1)->next;
	*link = entry->next;
	entry->retired = true;
	state.unplaced -= !entry->loc.module;
}

void pa_sites_forget_module(const struct pa_module *module)
{
	for (uint32_t id = 0; id < loc_count(); id++) {
		const struct entry *entry = entry_at(id);
		if (!entry->retired && entry->loc.module == module)
			retire(id);
	}
}

void pa_sites_place_again(void)
{
	for (uint32_t id = 0; state.unplaced && id < loc_count(); id++) {
		const struct entry *entry = entry_at(id);
		if (!entry->retired && !entry->loc.module && pa_maps_find(entry->loc.pc))
			retire(id);
	}
}

const struct pa_loc *pa_sites_loc(uint32_t id)
{
	return &entry_at(id)->loc;
}

uint32_t pa_sites_loc_count(void)
{
	return pa_load_acquire(&state.loc_count);
}

/* ---- stacks ---- */

static uint64_t hash_ids(const uint32_t *ids, uint32_t depth)
{
	uint64_t hash = depth + 1;
	for (uint32_t i = 0; i < depth; i++)
		hash = mix(hash, ids[i]);
	return hash;
}

/* The slot of the stack with these locations, or the free one where it would go. */
static const struct pa_stack **slot_of(uint64_t hash, const uint32_t *ids, uint32_t depth)
{
	uint32_t mask = state.slot_count - 1;
	uint32_t i = hash & mask;
	const struct pa_stack *stack;
	/* Ends: has_slot keeps some free. */
	for (; (stack = state.slots[i]); i = (i + 1) & mask) {
		if (stack->hash == hash && stack->depth == depth &&
				memcmp(stack->locs, ids, depth * sizeof(*ids)) == 0)
			break;
	}
	return &state.slots[i];
}

static void grow_slots(void)
{
	uint32_t old_count = state.slot_count;
	const struct pa_stack **old = state.slots;
	const struct pa_stack **slots = map_table(old_count * 2 * sizeof(*slots));
	if (!slots)
		return;
	uint32_t mask = old_count * 2 - 1;
	for (uint32_t i = 0; i < old_count; i++) {
		if (!old[i])
			continue;
		uint32_t at = old[i]->hash & mask;
		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = old[i];
	}
	unmap_table(old, old_count * sizeof(*slots));
	state.slots = slots;
	state.slot_count = old_count * 2;
}

/* Up to 3/4 full, and to 15/16 when it cannot grow. */
static bool has_slot(void)
{
	if (state.stack_count >= state.slot_count - state.slot_count / 4)
		grow_slots();
	return state.stack_count < state.slot_count - state.slot_count / 16;
}

static const struct pa_stack *intern_ids(const uint32_t *ids, uint32_t depth)
{
	uint64_t hash = hash_ids(ids, depth);
	const struct pa_stack *known = *slot_of(hash, ids, depth);
	if (known)
		return known;
	struct pa_stack *stack;
	if (!has_slot())
		return NULL;
	stack = pa_arena_alloc(&state.arena, sizeof(*stack) + depth * sizeof(*ids));
	if (!stack)
		return NULL;
	*stack = (struct pa_stack){ .id = state.stack_count++, .depth = depth, .hash = hash };
	memcpy(stack->locs, ids, depth * sizeof(*ids));
	*slot_of(hash, ids, depth) = stack;
	return stack;
}

static const struct pa_stack *intern_pcs(const uintptr_t *pcs, uint32_t depth, bool leaf,
	enum pa_pseudo_pc tail)
{
	uint32_t ids[PA_SITES_DEPTH + 1];
	for (uint32_t i = 0; i < depth; i++) {
		if (!intern_loc(pcs[i], leaf && i == 0, &ids[i]))
			return NULL;
	}
	if (tail != PA_PSEUDO_NONE)
		ids[depth++] = tail - 1;
	return intern_ids(ids, depth);
}

static const struct pa_stack **memo_of(const uintptr_t *pcs, uint32_t depth, bool leaf,
	enum pa_pseudo_pc tail)
{
	uint64_t hash = (uint64_t)depth << 8 | (uint64_t)tail << 1 | leaf;
	for (uint32_t i = 0; i < depth; i++)
		hash = mix(hash, pcs[i]);
	return &state.memo[hash % MEMO_SLOTS];
}

/* Whether interning these pcs would give stack again. */
static bool is_memo(const struct pa_stack *stack, const uintptr_t *pcs, uint32_t depth, bool leaf,
	enum pa_pseudo_pc tail)
{
	if (stack->depth != depth + (tail != PA_PSEUDO_NONE))
		return false;
	for (uint32_t i = 0; i < depth; i++) {
		const struct entry *entry = entry_at(stack->locs[i]);
		bool is_leaf = leaf && i == 0;
		if (entry->loc.raw_pc != pcs[i] || entry->leaf != is_leaf || entry->retired)
			return false;
	}
	return tail == PA_PSEUDO_NONE || stack->locs[depth] == (uint32_t)tail - 1;
}

const struct pa_stack *pa_sites_intern(const uintptr_t *pcs, uint32_t depth, bool leaf,
	enum pa_pseudo_pc tail)
{
	if (depth > PA_SITES_DEPTH) {
		depth = PA_SITES_DEPTH;
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

const struct pa_stack *pa_sites_overflow(void)
{
	return state.overflow;
}

/* ---- life ---- */

/* Their ids are their pseudo pcs - 1. */
static bool add_pseudos(void)
{
	for (uintptr_t pc = 1; pc < PA_PSEUDO_LIMIT; pc++) {
		struct entry *entry = add_loc(pc, pc, NULL);
		if (!entry)
			return false;
		entry->retired = true;
	}
	return true;
}

int pa_sites_init(size_t max_bytes)
{
	memset(&state, 0, sizeof(state));
	state.arena = (struct pa_arena)PA_ARENA_INIT("stacks", max_bytes);
	state.max_bytes = max_bytes;
	state.head_count = FIRST_HEADS;
	state.slot_count = FIRST_SLOTS;
	state.heads = map_table(FIRST_HEADS * sizeof(*state.heads));
	state.slots = map_table(FIRST_SLOTS * sizeof(*state.slots));
	if (state.heads && state.slots && add_pseudos())
		state.overflow = intern_ids(&(uint32_t){ PA_PSEUDO_LOST - 1 }, 1);
	if (state.overflow)
		return 0;
	pa_arena_free(&state.arena);
	pa_unmap(state.heads, FIRST_HEADS * sizeof(*state.heads));
	pa_unmap(state.slots, FIRST_SLOTS * sizeof(*state.slots));
	memset(&state, 0, sizeof(state));
	return -ENOMEM;
}

struct pa_sites_stats pa_sites_stats(void)
{
	return (struct pa_sites_stats){
		.stacks = state.stack_count,
		.locs = loc_count(),
		.bytes = state.arena.mapped_bytes + state.table_bytes,
		.overflowed = state.overflowed,
	};
}

void pa_sites_reset(void)
{
	memset(&state, 0, sizeof(state));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interned stacks and locations.
 *
 * A location is one pc in one module; a stack is a list of locations, innermost first. Both are
 * never freed, so pointers and ids stay valid in every snapshot (stacks of CPU ticks:
 * passing_stacks.h).
 * When the arena is full, every new stack becomes pa_stack_table_overflow(), with the one location
 * pprofagent.lostEvents.
 *
 * Context: PA_AGENT. Interning under PA_LOCK_TABLES; reading by id or pointer needs no lock once
 * the id was returned.
 */
#ifndef PA_STACK_TABLE_H
#define PA_STACK_TABLE_H

#include "../base/atomic.h"
#include "../base/base.h"
#include "../modules/modules.h"
#include "stack_index.h"

/* pcs of locations that are no code; symbols.c has their names. */
enum pa_pseudo_pc {
	PA_PSEUDO_NONE,
	PA_PSEUDO_LOST,      /* "pprofagent.lostEvents": events that were dropped */
	PA_PSEUDO_BROKEN,    /* "[no unwind information]": outermost location of a broken stack */
	PA_PSEUDO_SHORT,     /* "[stack copy limit]": the same, where the copied part ended */
	PA_PSEUDO_CUT,       /* "[stack depth limit]": outermost location of a cut stack */
	PA_PSEUDO_NO_ANSWER, /* "[no answer]": a thread that did not write its stack */
	PA_PSEUDO_EXIT,      /* "[thread exit]": CPU time known only at the thread's end */
	PA_PSEUDO_REST,      /* "[not sampled]": the same at a profile's end */
	PA_PSEUDO_LIMIT
};

struct pa_loc {
	uintptr_t pc;             /* address for the profile: return address - 1, or the pc itself
	                             where no call returns to it; a pa_pseudo_pc when below
	                             PA_PSEUDO_LIMIT */
	uintptr_t raw_pc;         /* as recorded, for the addresses in debug=1 texts */
	struct pa_module *module; /* NULL: not in any mapped file */
	/* Of code made at run time (pa_maps_is_loose). Two locations may have the same pc: of older
	 * code, and of what was written over it. */
	PA_ATOMIC(uint32_t) code_until; /* offset in the perf map from which lines are of later
					 * code; 0: none. Written under PA_LOCK_TABLES, relaxed */
	uint16_t code_version;          /* tells them apart; constant */
	/* For the table itself, under PA_LOCK_TABLES. */
	bool leaf;
	bool retired; /* not in the table: pseudo, or its pc belongs to other code now */
};

/* What a thread with that stack waits for on its futex. Written by the render thread, which has the
 * names (proto/futex_kind.h). */
enum pa_futex_kind {
	PA_FUTEX_UNDECIDED,
	PA_FUTEX_UNKNOWN, /* no function in it says so */
	PA_FUTEX_LOCK,
	PA_FUTEX_CONDITION,
	PA_FUTEX_PARK
};

PA_INLINE void pa_stack_set_futex_kind(const struct pa_stack *stack, enum pa_futex_kind kind)
{
	pa_store_relaxed(&((struct pa_stack *)(uintptr_t)stack)->futex_kind, (uint8_t)kind);
}

/* Deeper stacks are cut. */
#define PA_STACK_TABLE_DEPTH 512

/* 0 or -ENOMEM. max_bytes bounds all memory of stacks and locations. */
PA_AGENT int pa_stack_table_init(size_t max_bytes);

/*
 * The stack with these pcs (leaf: pcs[0] is an interrupted instruction). tail, if not
 * PA_PSEUDO_NONE, becomes the outermost location. Never NULL. depth 0 gives the stack of tail, or
 * an empty one.
 */
PA_AGENT const struct pa_stack *pa_stack_table_intern_locked(const uintptr_t *pcs, uint32_t depth,
	bool leaf, enum pa_pseudo_pc tail);

/* The stack of that pseudo pc, called by the function at that address; 0: unknown. Never NULL. */
PA_AGENT const struct pa_stack *pa_stack_table_intern_rest_locked(enum pa_pseudo_pc why,
	uintptr_t start_routine);

PA_AGENT const struct pa_stack *pa_stack_table_overflow(void);

/* Interns the locations of a stack, at most PA_STACK_TABLE_DEPTH pcs, but not the stack. ids: room
 * for one more. False: full. */
PA_AGENT bool pa_stack_table_want_locked(const uintptr_t *pcs, uint32_t depth, bool leaf,
	enum pa_pseudo_pc tail, uint32_t *ids, struct pa_stack_index_wanted *wanted);

/* NULL: not in this table. Collector only. */
PA_AGENT const struct pa_stack *pa_stack_table_find(const struct pa_stack_index_wanted *wanted);

PA_AGENT const struct pa_loc *pa_stack_table_loc(uint32_t id);
PA_AGENT uint32_t pa_stack_table_loc_count(void);

/* Locations of a forgotten module, and those without a module when modules were added, are interned
 * anew when their pcs occur again. */
extern const struct pa_modules_listener pa_stack_table_listener PA_HIDDEN;

/* Code in [start, limit) was made at run time. */
struct pa_stack_table_code {
	uintptr_t start, limit;
};

/* True once a location is in code made at run time. Without the lock: perhaps just now. */
PA_AGENT bool pa_stack_table_has_code_unlocked(void);

/*
 * Lines from this offset of the perf map on are about new code in these ranges, which are sorted by
 * start and disjoint: their pcs are interned anew when they occur again. Returns false when that
 * happened too often (PA_STACK_TABLE_RENEWALS locations, or 65,535 calls): nothing is changed.
 */
PA_AGENT bool pa_stack_table_renew_code_locked(const struct pa_stack_table_code *ranges,
	size_t count, uint32_t offset);
#define PA_STACK_TABLE_RENEWALS (128u * 1024)

/* Statistics: stacks, locations, bytes, stacks that went to overflow. */
struct pa_stack_table_stats {
	uint32_t stacks, locs;
	size_t bytes;
	uint64_t overflowed;
};
PA_API struct pa_stack_table_stats pa_stack_table_stats(void);

/* In a forked child whose tables may be inconsistent: the state before pa_stack_table_init; the old
 * memory leaks. */
PA_BOOT void pa_stack_table_reset(void);

#endif

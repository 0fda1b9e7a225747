/*
 * Interned stacks and their locations.
 *
 * A location is one pc in one module; a stack is a list of locations, innermost first. Both are
 * interned and never freed, so pointers and ids stay valid in every snapshot. When the arena is
 * full, every new stack becomes pa_sites_overflow(), whose one location is called
 * pprofagent.lostEvents.
 *
 * Context: PA_AGENT. Interning under PA_LOCK_TABLES; reading by id or pointer needs no lock once
 * the id was handed out.
 */
#ifndef PA_SITES_H
#define PA_SITES_H

#include "../base/base.h"
#include "maps.h"

/* pc of locations that are no code: their names are constants of symbols.c. */
enum pa_pseudo_pc {
	PA_PSEUDO_NONE,
	PA_PSEUDO_LOST,     /* "pprofagent.lostEvents": events that were dropped */
	PA_PSEUDO_BROKEN,   /* "[no unwind information]": outermost frame of a broken stack */
	PA_PSEUDO_CUT,      /* "[stack depth limit]": outermost frame of a stack that was cut */
	PA_PSEUDO_NO_ANSWER, /* "[no answer]": a thread that did not write its stack */
	PA_PSEUDO_LIMIT
};

struct pa_loc {
	uintptr_t pc;             /* address for the profile: return address - 1, or the leaf's pc;
	                             a pa_pseudo_pc when below PA_PSEUDO_LIMIT */
	uintptr_t raw_pc;         /* as recorded: what debug=1 texts print in their @ lists */
	struct pa_module *module; /* NULL: not in any mapped file */
};

struct pa_stack {
	uint32_t id;     /* 0, 1, ... */
	uint32_t depth;
	uint64_t hash;
	uint32_t locs[]; /* location ids, innermost first */
};

/* Deeper stacks are cut. */
#define PA_SITES_DEPTH 512

/* 0 or -ENOMEM. max_bytes bounds all memory of stacks and locations. */
PA_AGENT int pa_sites_init(size_t max_bytes);

/*
 * The one stack with these pcs (leaf: pcs[0] is an interrupted instruction). tail, if not
 * PA_PSEUDO_NONE, is added as the outermost frame. Never NULL. depth 0 gives the stack of tail, or
 * an empty one.
 */
PA_AGENT const struct pa_stack *pa_sites_intern(const uintptr_t *pcs, uint32_t depth, bool leaf,
	enum pa_pseudo_pc tail);

PA_AGENT const struct pa_stack *pa_sites_overflow(void);

PA_AGENT const struct pa_loc *pa_sites_loc(uint32_t id);
PA_AGENT uint32_t pa_sites_loc_count(void);

/* A module died: its pcs must be interned anew when they are seen again. */
PA_AGENT void pa_sites_forget_module(const struct pa_module *module);

/* New modules were found: pcs that were in none until now must be interned anew. */
PA_AGENT void pa_sites_place_again(void);

/* Statistics: stacks, locations, bytes, stacks that went to overflow. */
struct pa_sites_stats {
	uint32_t stacks, locs;
	size_t bytes;
	uint64_t overflowed;
};
PA_AGENT struct pa_sites_stats pa_sites_stats(void);

/* In a forked child whose tables may be half changed: as before pa_sites_init; the old memory is
 * lost. */
PA_BOOT void pa_sites_reset(void);

#endif

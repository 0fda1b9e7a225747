/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learns unwind rules from DWARF call frame information: the slow half of the frame cache. The only
 * user of libunwind (its remote interface: does not touch or lock anything of the program).
 *
 * A rule is learnt by one libunwind step of a frame with synthetic registers and stack contents:
 * the result identifies the rule (cfa = sp + n, bp + n, ...). Deferred stacks are then completed on
 * their copy with these rules, by the same code that walks live stacks.
 *
 * Context: PA_AGENT, the collector thread only, under PA_LOCK_TABLES. libunwind maps a little
 * memory, and opens a pipe in pa_unwind_init that it never uses here: call it where the descriptor
 * table is the agent's own.
 */
#ifndef PA_UNWIND_H
#define PA_UNWIND_H

#include "../record/event.h"
#include "../record/frame_cache.h"

/* 0 or -errno: deferred stacks then stay short. */
PA_AGENT int pa_unwind_init(void);

/* In a forked child. If the collector was inside libunwind at the fork, its locks stay held, and
 * deferred stacks of the child stay short. */
PA_BOOT void pa_unwind_reset(void);

/*
 * The rule of pc (leaf as in pa_frame_cache_find). Code without unwind information is
 * PA_RULE_CHAIN; PA_RULE_END where the CFI says that the return address is undefined;
 * PA_RULE_COMPLEX also where the CFI is broken. PA_RULE_NONE: the code, made at run time, may not
 * be the one that was there when the stack was recorded.
 */
PA_AGENT struct pa_rule pa_unwind_learn(uintptr_t pc, bool leaf);

struct pa_unwind_result {
	uint32_t depth; /* all pcs, those of the event included */
	bool complete;  /* reached the outermost frame */
	bool cut;       /* depth limit reached */
	bool is_short;  /* the copied part of the stack ended before the outermost frame */
	bool late;      /* ends in code whose registered unwind table is gone */
	/* Bytes of the copied stack that the walk has read, or would have, had the copy been
	 * longer. 0: unknown. */
	uint64_t stack_bytes;
	uintptr_t unmapped; /* pc in no module of pa_maps_find, which may have one after a
			     * refresh. 0: none */
};

/*
 * Completes the stack of an event: pcs gets the event's own pcs and then those of its deferred
 * part, at most max. Learns every rule it needs and inserts it into frames (may be NULL).
 */
PA_AGENT struct pa_unwind_result pa_unwind_finish(const struct pa_event *event,
	struct pa_frame_cache *frames, uintptr_t *pcs, uint32_t max);

/* After the program has registered unwind tables: code that may be in one is looked up again. */
PA_AGENT void pa_unwind_follow_tables(struct pa_frame_cache *frames);

#endif

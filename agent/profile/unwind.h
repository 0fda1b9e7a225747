/*
 * Unwind rules out of DWARF call frame information: the slow half of the frame cache. The only file
 * behind it that knows libunwind (its remote interface: nothing of the program is touched or
 * locked).
 *
 * A rule is learnt by one libunwind step of a frame with made-up registers and made-up stack
 * contents: what comes out names the rule (cfa = sp + n, bp + n, ...). Stacks that the walker could
 * not finish are then finished on their copy with the rules, by the same code that the walker uses.
 *
 * Context: PA_AGENT, the collector's thread only, under PA_LOCK_TABLES. libunwind maps a little
 * memory of its own, and opens a pipe in pa_unwind_init that it never uses for us: call it where
 * descriptors are the agent's own.
 */
#ifndef PA_UNWIND_H
#define PA_UNWIND_H

#include "../record/event.h"
#include "../record/frames.h"

/* 0 or -errno: without it, cold stacks stay short. */
PA_AGENT int pa_unwind_init(void);

/* In a forked child. If the collector was inside libunwind at the fork, whose locks nobody will
 * ever release, stacks of the child stay short. */
PA_BOOT void pa_unwind_reset(void);

/*
 * The rule of pc (leaf as in pa_frames_find): always a usable kind, never PA_RULE_NONE. Code
 * without unwind information is PA_RULE_CHAIN; PA_RULE_END where the CFI says that the return
 * address is undefined; PA_RULE_COMPLEX also where the CFI is broken.
 */
PA_AGENT struct pa_rule pa_unwind_learn(uintptr_t pc, bool leaf);

struct pa_unwind_result {
	uint32_t depth;  /* pcs in all, those from the event included */
	bool complete;   /* reached the outermost frame */
	bool cut;        /* limit reached */
	uintptr_t unmapped; /* code without unwind information, or none: it lies in no module of
	                       pa_maps_find, but may when that was refreshed. 0: no such thing */
};

/*
 * Finishes the stack of an event: pcs gets the event's own pcs and then those found in its cold
 * part, at most max. Learns every rule it needs and inserts it into frames (which may be NULL).
 */
PA_AGENT struct pa_unwind_result pa_unwind_finish(const struct pa_event *event,
	struct pa_frames *frames, uintptr_t *pcs, uint32_t max);

#endif

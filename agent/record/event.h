/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: messages from hooks and signal handlers to the collector. One event is one record of the
 * ring.
 *
 * Context: written by PA_SIGNAL code into a ring slot, read by the collector only (PA_AGENT).
 * Layout in the slot: struct pa_event, then depth program counters (uintptr_t, innermost first;
 * pcs[0] of a CPU sample is the interrupted instruction, every other pc is a return address), then,
 * when PA_EVENT_DEFERRED is set, one struct pa_deferred and its copy of the stack.
 */
#ifndef PA_EVENT_H
#define PA_EVENT_H

#include "../base/base.h"
#include "../arch/arch.h"

enum pa_event_kind {
	PA_EVENT_NONE,
	PA_EVENT_ALLOC,   /* object, value[0] = bytes: a sampled allocation; object 0: its free will
			   * not be recorded */
	PA_EVENT_FREE,    /* object: a sampled object is about to be freed */
	PA_EVENT_REVIVE,  /* object: the free just recorded did not happen (realloc failed) */
	PA_EVENT_CPU,     /* value[0] = ticks that it represents (1 + overruns), name = thread
			   * name */
	PA_EVENT_MODULES, /* dlopen begins, or dlclose has unloaded an object; in place of the pcs
			   * the path of the file that is opened, NUL-padded, if it may go away
			   * soon */
	PA_EVENT_BLOCK,   /* end of a wait: value[0] = ns, contentions = number of waits it
			   * represents (both scaled up when sampled), object = what was waited
			   * for */
	PA_EVENT_MUTEX,   /* unlock with waiters: value[0] = ns that they waited in total,
			   * contentions as above, object = the lock */
	PA_EVENT_CREATE,  /* a thread was created; the stack is that of its creator */
	PA_EVENT_DUMP,    /* one thread of a thread dump; value[0] = generation << 32 | index of
			   * its entry (thread_dump.h) */
	PA_EVENT_ADD,     /* value[0] = id of a user-defined profile, object = the value that was
			   * added, skip = innermost frames to drop */
	PA_EVENT_REMOVE,  /* value[0] and object as above; no stack */
	PA_EVENT_TRACE,   /* skip is the operation, see trace_events.h */
	PA_EVENT_WAITER,  /* a wait on a futex begins: object = the word; the innermost frames */
	PA_EVENT_WAKE,    /* as MUTEX, by a wake of a futex: object = the word; the last WAITER of
			   * that word tells whether it belongs to a lock */
	PA_EVENT_KINDS
};

enum pa_event_flag {
	PA_EVENT_LEAF = 1 << 0,     /* pcs[0] is an interrupted instruction */
	PA_EVENT_DEFERRED = 1 << 1, /* the walk found a pc without a rule: a struct pa_deferred
				     * follows */
	PA_EVENT_CUT = 1 << 2,      /* depth limit reached, frames towards main are missing */
	PA_EVENT_BROKEN = 1 << 3,   /* the walk ended before the stack's end: unreadable, no
	                                unwind information, or no room for a copy */
	PA_EVENT_UNLOADED = 1 << 4, /* PA_EVENT_MODULES: something was unloaded */
	PA_EVENT_EXIT = 1 << 5,     /* PA_EVENT_CPU: the rest at a thread's end; pcs[0] is its start
				     * routine */
	PA_EVENT_REST = 1 << 6      /* the same at a profile's end: the thread lives on; pcs[0]
				     * may be 0. For the profile that started the ticks */
};

#define PA_EVENT_NAME_BYTES 16

struct pa_event {
	uint8_t kind;   /* enum pa_event_kind */
	uint8_t flags;  /* enum pa_event_flag */
	uint16_t depth; /* number of pcs behind this header */
	int32_t tid;
	int64_t time_ns;   /* CLOCK_MONOTONIC, taken before the slot; FREE, REVIVE: 0 */
	uint64_t value[2]; /* [1] of events with a stack: epoch of the frame cache before the
			    * walk */
	uintptr_t object;
	uint32_t labels; /* CPU and DUMP: id of the thread's labels (labels.h), 0 = none */
	uint32_t skip;   /* ADD; TRACE: the operation */
	union {
		char name[PA_EVENT_NAME_BYTES]; /* CPU, and waits of TRACE; NUL-padded, may lack a
		                                    NUL when 16 long */
		struct {                        /* BLOCK, MUTEX, WAKE: the quotient */
			uint64_t count, of;
		} contentions;
	};
};

/*
 * A deferred unwind, which the collector continues: registers of the first frame that is not in
 * pcs, and the stack from its sp. With leaf, regs is the complete interrupted register set, else
 * only pc, sp and bp are valid.
 */
struct pa_deferred {
	struct pa_regs regs;
	uintptr_t stack_at;   /* first copied byte: sp rounded down to 8; with leaf, from the red
			       * zone below it if readable */
	uint32_t stack_bytes; /* copied bytes behind this struct; multiple of 8 */
	uint8_t leaf;         /* regs.pc is an interrupted instruction, not a return address */
	uint8_t to_stack_end; /* the copy reaches the known end of the stack */
	uint8_t few_regs;     /* only pc and sp are valid, with leaf too */
	uint8_t own_stack;    /* it is the thread's own stack */
};

PA_INLINE const uintptr_t *pa_event_pcs(const struct pa_event *event)
{
	return (const uintptr_t *)(event + 1);
}

/* NULL when the event has no deferred part. */
PA_INLINE const struct pa_deferred *pa_event_deferred(const struct pa_event *event)
{
	if (!(event->flags & PA_EVENT_DEFERRED))
		return NULL;
	return (const struct pa_deferred *)(pa_event_pcs(event) + event->depth);
}

#endif

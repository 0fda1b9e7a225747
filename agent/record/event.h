/*
 * Events: what a hook or a signal handler tells the collector. One event is one record of the ring.
 *
 * Context: written PA_SIGNAL straight into a ring slot, read by the collector only (PA_AGENT).
 * Layout in the slot: struct pa_event, then depth program counters (uintptr_t, innermost first;
 * pcs[0] of a CPU sample is the interrupted instruction, every other pc is a return address), then,
 * when PA_EVENT_COLD is set, one struct pa_cold and its copy of the stack.
 */
#ifndef PA_EVENT_H
#define PA_EVENT_H

#include "../base/base.h"
#include "regs.h"

enum pa_event_kind {
	PA_EVENT_NONE,
	PA_EVENT_ALLOC,   /* object, value[0] = bytes: a sampled allocation */
	PA_EVENT_FREE,    /* object: a sampled object is about to be freed */
	PA_EVENT_REVIVE,  /* object: the free just recorded did not happen (realloc failed) */
	PA_EVENT_CPU,     /* value[0] = ticks this stands for (1 + overruns), name = thread name */
	PA_EVENT_MODULES, /* a dlopen begins, or a dlclose has unloaded something */
	PA_EVENT_BLOCK,   /* a wait is over: value[0] = ns, contentions = how many waits it stands
	                     for (both scaled up when sampled), object = what was waited for */
	PA_EVENT_MUTEX,   /* the end of a critical section that others waited for: value[0] = ns of
	                     all of them, contentions as above, object = the lock */
	PA_EVENT_CREATE,  /* a thread was created; the stack is its creator's */
	PA_EVENT_ROLL,    /* a thread's answer to a rollcall; value[0] = generation << 32 | index of
	                     its entry (rollcall.h) */
	PA_EVENT_ADD,     /* value[0] = id of a profile of the program's own, object = the value
	                     that was added, skip = innermost frames to leave out */
	PA_EVENT_REMOVE,  /* value[0] and object as above; no stack */
	PA_EVENT_TRACE,   /* skip says what, see tracing.h */
	PA_EVENT_KINDS
};

enum pa_event_flag {
	PA_EVENT_LEAF = 1 << 0,      /* pcs[0] is an interrupted instruction */
	PA_EVENT_COLD = 1 << 1,      /* the walk met an unknown pc: a struct pa_cold follows */
	PA_EVENT_CUT = 1 << 2,       /* depth limit reached, frames towards main are missing */
	PA_EVENT_BROKEN = 1 << 3,    /* the walk ended before the stack's end: unreadable, no
	                                unwind information, or no room for a copy */
	PA_EVENT_UNLOADED = 1 << 4   /* PA_EVENT_MODULES: something was unloaded */
};

#define PA_THREAD_NAME_BYTES 16

struct pa_event {
	uint8_t kind;    /* enum pa_event_kind */
	uint8_t flags;   /* enum pa_event_flag */
	uint16_t depth;  /* number of pcs behind this header */
	int32_t tid;
	int64_t time_ns; /* CLOCK_MONOTONIC, taken before the slot */
	uint64_t value[2]; /* [1] of events with a stack: the frame cache's epoch before the walk */
	uintptr_t object;
	uint32_t labels; /* CPU and ROLL: id of the thread's labels (labels.h), 0 = none */
	uint32_t skip;   /* ADD; TRACE: the operation */
	union {
		char name[PA_THREAD_NAME_BYTES]; /* CPU, and waits of TRACE; NUL-padded, may lack a
		                                    NUL when 16 long */
		struct {                         /* BLOCK and MUTEX: the quotient */
			uint64_t count, of;
		} contentions;
	};
};

/*
 * Where a walk had to stop, for the collector to go on from: registers of the first frame that is
 * not in pcs, and the stack from its sp. When leaf is set, regs is the complete interrupted
 * register set, else only pc, sp and bp are true.
 */
struct pa_cold {
	struct pa_regs regs;
	uintptr_t stack_at;   /* first copied byte: sp rounded down to 8, with leaf the red zone
	                         below it too where that is readable */
	uint32_t stack_bytes; /* copied bytes behind this struct; multiple of 8 */
	uint8_t leaf;         /* regs.pc is an interrupted instruction, not a return address */
	uint8_t to_stack_end; /* the copy reaches the known end of the stack */
	uint8_t few_regs;     /* only pc and sp are true, leaf or not */
	uint8_t reserved;
};

PA_INLINE const uintptr_t *pa_event_pcs(const struct pa_event *event)
{
	return (const uintptr_t *)(event + 1);
}

/* NULL when the event has no cold part. */
PA_INLINE const struct pa_cold *pa_event_cold(const struct pa_event *event)
{
	if (!(event->flags & PA_EVENT_COLD))
		return NULL;
	return (const struct pa_cold *)(pa_event_pcs(event) + event->depth);
}

#endif

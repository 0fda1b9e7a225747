/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of a thread, in static TLS. Each field belongs to its thread and is accessed by the thread
 * itself and by signal handlers on it.
 *
 * All zero is the state of a thread that is not registered: its first allocation takes the slow
 * path and registers it. At most 2 KiB: static TLS takes space from every thread's stack, and
 * 12,000 bytes of it make pthread_create fail for 16 KiB stacks.
 *
 * Context: PA_SIGNAL. No lock.
 */
#ifndef PA_THREAD_H
#define PA_THREAD_H

#include "../base/assert.h"
#include "../base/atomic.h"
#include "../base/base.h"
#include "../arch/arch.h"

enum pa_role {
	PA_ROLE_PROGRAM,
	PA_ROLE_AGENT /* the agent's: hooks pass it through */
};

struct pa_lock_waits_slot;
struct pa_trace_events_place;
struct pa_labels;
struct pa_last_walk;
struct pa_thread_slot;

/* The wait of a hook on the thread's stack. Read by the agent's signal handler on the same
 * thread. */
struct pa_wait {
	uint32_t kind; /* enum pa_wait_kind; set last, cleared first */
	uintptr_t object;
	int64_t start_ns;
	uintptr_t frame; /* of the hook: valid only while sp is below it. A thread that was
			  * cancelled or jumped out of the wait does not clear it. */
	struct pa_lock_waits_slot *slot; /* its slot in the table of contended locks, or NULL */
};

struct pa_thread {
	uint64_t heap_left; /* bytes until the next heap sample */
	uint32_t depth;     /* > 0: inside the agent's code, hooks pass through */
	uint8_t role;       /* enum pa_role */
	uint8_t registered; /* tid and bounds below are set */
	uint8_t counted;    /* record/thread_ends.c: the thread has not begun to end */
	/* Its alternate stack has no room for the agent's signal; written by the thread, read by
	 * the agent from a copy. */
	PA_ATOMIC(uint8_t) small_altstack;
	int32_t tid;
	PA_ATOMIC(uint32_t) denied;   /* enum pa_calls that hooks must not make on it
				       * (record/sandbox.c); access as small_altstack */
	uint64_t random;              /* state of the generator; 0 = not seeded */
	uintptr_t stack_lo, stack_hi; /* [lo, hi) is this thread's own stack, or its upper part:
				       * all of it is readable and stays so; 0, 0 = unknown */
	uintptr_t stack_least;        /* lower limit of stack_lo, which moves down as pages are
				  * verified */
	uintptr_t alternate_lo;  /* record/altstack.c: its registered alternate stack; 0: none */
	uintptr_t start_routine; /* of threads created by pthread_create; else 0 */
	uintptr_t creator_pc;    /* return address of that call; else 0 */
	int32_t creator_tid;
	uint8_t exit_noted;    /* hook_thread.c records this thread's end */
	uint8_t settled;       /* record/destructors.c: ready for its allocator's destructor */
	uint8_t dispatched;    /* enum pa_calls: of denied, those that new threads and processes do
				* not inherit (record/dispatch.c) */
	struct pa_wait wait;   /* record/lock_waits.c */
	uintptr_t trace_frame; /* record/trace_events.c: of the hook whose wait is recorded; 0:
			        * none */
	struct pa_trace_events_place *trace_place; /* counter of that wait, or NULL */
	const struct pa_labels *labels;            /* record/labels.h; NULL: none */
	struct pa_thread_slot *slot;    /* base/thread_slot.h: of an agent thread; NULL: none */
	struct pa_last_walk *last_walk; /* record/last_walk.h; NULL: none */
	uint32_t walks_without;         /* walks before it got that */
	bool last_walk_used;            /* a walk is using it, or the thread has ended */
};

extern PA_TLS struct pa_thread pa_thread_self PA_HIDDEN;

/* Asserts that the calling thread is one of the program's. */
#define PA_ASSERT_PROGRAM() PA_ASSERT(pa_thread_self.role == PA_ROLE_PROGRAM)

/* Uniform 64 random bits of the thread's own generator (not cryptographic). */
PA_SIGNAL uint64_t pa_thread_random(struct pa_thread *thread);

#endif

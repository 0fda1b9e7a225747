/*
 * What we keep per thread, in static TLS. Each field belongs to its thread alone and is touched by
 * the thread itself and by signal handlers on it.
 *
 * Zero is the state of a thread that we have not met: its first allocation takes the slow path and
 * meets it. Size limit 2 KiB: static TLS is taken from every thread's stack, and 12,000 bytes of it
 * make pthread_create fail for 16 KiB stacks.
 */
#ifndef PA_THREAD_H
#define PA_THREAD_H

#include "../base/atomic.h"
#include "../base/base.h"
#include "regs.h"

enum pa_role {
	PA_ROLE_PROGRAM,
	PA_ROLE_AGENT /* our own: hooks pass it through */
};

struct pa_contend_slot;
struct pa_tracing_place;
struct pa_labels;
struct pa_seat;

/* What a hook on the thread's stack waits for. Read by our signal handler on the same thread. */
struct pa_wait {
	uint32_t kind;   /* enum pa_wait_kind; set last, cleared first */
	uintptr_t object;
	int64_t start_ns;
	uintptr_t frame; /* of the hook: true only while sp is below it. A thread that was cancelled
	                    or jumped out of the wait never came back to clear it. */
	struct pa_contend_slot *slot; /* its place in the table of contended locks, or NULL */
};

struct pa_thread {
	uint64_t heap_left;  /* bytes until the next heap sample */
	uint32_t depth;      /* > 0: inside the agent's work, hooks pass through */
	uint8_t role;        /* enum pa_role */
	uint8_t met;         /* tid and bounds below are set */
	uint8_t counted;     /* record/ends.c: has not begun to end */
	PA_ATOMIC(uint8_t) deaf; /* its alternate stack has no room for our signal; written by the
	                            thread, read by the agent from a copy */
	int32_t tid;
	PA_ATOMIC(uint32_t) denied; /* enum pa_calls that hooks must not make on it, by
	                               record/sandbox.c; as deaf */
	uint32_t tick_slot;  /* record/tick.c: own timer's slot + 1, 0 = none */
	uint64_t random;     /* state of the generator; 0 = not seeded */
	uintptr_t stack_lo, stack_hi; /* [lo, hi) is this thread's own stack, or its upper part: all
	                                 of it is readable now, and stays so; 0, 0 = unknown */
	uintptr_t stack_least; /* stack_lo may come down to it, page by page as they are proven */
	int64_t tick_base_ns;  /* thread CPU time when the own timer was armed */
	int64_t tick_first_ns; /* CPU time from then to the first tick that is due */
	uintptr_t alternate_lo; /* record/altstack.c: its alternate stack as we know it; 0: none */
	uint64_t ticks_seen;   /* ticks delivered by the own timer */
	uintptr_t start_routine; /* of threads that came through pthread_create; else 0 */
	uintptr_t creator_pc;    /* return address of that call; else 0 */
	int32_t creator_tid;
	uint8_t exit_noted;      /* hook_thread.c will hear of this thread's end */
	struct pa_wait wait;     /* record/contend.c */
	uintptr_t trace_frame;   /* record/tracing.c: of the hook whose wait is told; 0: none */
	struct pa_tracing_place *trace_place; /* where that wait is counted, or NULL */
	const struct pa_labels *labels; /* record/labels.h; NULL: none */
	struct pa_seat *seat; /* base/seat.h: of a thread of ours; NULL: none */
};

extern PA_TLS struct pa_thread pa_thread_self PA_HIDDEN;

/* Fills in tid of the calling thread. 1 system call. thread: its own, which gets its stack's bounds
 * and can be found from here on, or a stand-in. */
PA_SIGNAL void pa_thread_meet(struct pa_thread *thread);

/*
 * The calling thread is at sp, which is below the part of its own stack that is known: makes all of
 * [sp, stack_hi) known, when all pages in between are there. A hole says that sp is on another
 * stack, which lies within what could be the thread's own. 0.1 us a page, at most 4 MiB a call.
 */
PA_SIGNAL void pa_thread_extend_stack(uintptr_t sp);
PA_INLINE bool pa_thread_may_extend(const struct pa_thread *thread, uintptr_t sp)
{
	return sp < thread->stack_lo && sp >= thread->stack_least;
}

/*
 * The calling thread is about to take [lo, hi) out of its memory, or what can be read of it. Where
 * that is in its own stack, the stack ends above it from here on. Any address.
 */
PA_SIGNAL void pa_thread_cut_stack(uintptr_t lo, uintptr_t hi);

/*
 * What the thread with that id keeps, copied out of its TLS while it may end at any moment. False:
 * it was never met, or is gone, or the kernel does not let us.
 */
PA_AGENT bool pa_thread_copy(int32_t tid, struct pa_thread *copy);

/* True when the thread says that our signal must not come to it. */
PA_AGENT bool pa_thread_is_deaf(int32_t tid);

/* The thread's id; meets it when need be. */
PA_INLINE int32_t pa_thread_tid(struct pa_thread *thread)
{
	if (pa_unlikely(!thread->met))
		pa_thread_meet(thread);
	return thread->tid;
}

/* Where a new thread's stack is, as its attributes say. */
struct pa_stack_size {
	size_t bytes; /* 0: unknown */
	size_t guard_bytes;
	bool of_program; /* memory that the program gave: only what is above sp is known */
};

/* In a new thread, before the program's start routine. */
PA_APP void pa_thread_started(struct pa_thread *thread, const struct pa_stack_size *size);

/* The calling thread created another one; caller: of the hook. errno kept. */
PA_APP void pa_thread_created(struct pa_thread *thread, struct pa_cursor caller);

/* The calling thread is one of ours from here on; counted in is_agent. */
PA_AGENT void pa_thread_become_agent(void);
/* It ends: its id may be another thread's soon. */
PA_AGENT void pa_thread_end_agent(void);
PA_AGENT bool pa_thread_is_agent(int32_t tid);

/* In a forked child: one thread, another tid, none of ours. */
PA_BOOT void pa_thread_atfork_child(void);

/* Uniform 64 random bits of the thread's own generator (not for secrets). */
PA_SIGNAL uint64_t pa_thread_random(struct pa_thread *thread);

#endif

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

#include "../base/base.h"

enum pa_role {
	PA_ROLE_PROGRAM,
	PA_ROLE_AGENT /* our own: hooks pass it through */
};

struct pa_thread {
	uint64_t heap_left;  /* bytes until the next heap sample */
	uint32_t depth;      /* > 0: inside the agent's work, hooks pass through */
	uint8_t role;        /* enum pa_role */
	uint8_t met;         /* tid and bounds below are set */
	uint8_t masks_signal; /* the program believes that our signal is blocked here */
	int32_t tid;
	uint32_t tick_slot;  /* record/tick.c: own timer's slot + 1, 0 = none */
	uint64_t random;     /* state of the generator; 0 = not seeded */
	uintptr_t stack_lo, stack_hi; /* sp in [lo, hi) is on this thread's own stack, and all from
	                                 sp to hi is readable; 0, 0 = unknown */
	int64_t tick_base_ns;  /* thread CPU time when the own timer was armed */
	int64_t tick_first_ns; /* CPU time from then to the first tick that is due */
	uint64_t ticks_seen;   /* ticks delivered by the own timer */
	uintptr_t start_routine; /* of threads that came through pthread_create; else 0 */
};

extern PA_TLS struct pa_thread pa_thread_self PA_HIDDEN;

/* Fills in what is missing: tid, stack bounds, generator. 1 system call, the first time only. */
PA_SIGNAL void pa_thread_meet(struct pa_thread *thread);

/* In a new thread, before the program's start routine. stack_bytes as its attributes say. */
PA_APP void pa_thread_started(struct pa_thread *thread, size_t stack_bytes, size_t guard_bytes);

/* The calling thread is one of ours from here on; counted in is_agent. */
PA_AGENT void pa_thread_become_agent(void);
PA_AGENT bool pa_thread_is_agent(int32_t tid);

/* In a forked child: one thread, another tid, none of ours. */
PA_BOOT void pa_thread_atfork_child(void);

/* Uniform 64 random bits of the thread's own generator (not for secrets). */
PA_SIGNAL uint64_t pa_thread_random(struct pa_thread *thread);

#endif

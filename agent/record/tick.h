/*
 * CPU ticks: one POSIX timer a thread on its CPU clock, delivered to that thread by a real-time
 * signal of our own, so a program that uses SIGPROF or ITIMER_PROF itself is not disturbed.
 *
 * Threads that exist when sampling starts get their timer from the agent's thread; those born while
 * it runs make their own. The first tick of each comes after a random part of the period, and what
 * a thread has used since its last tick is charged when it exits, so short threads count.
 */
#ifndef PA_TICK_H
#define PA_TICK_H

#include <signal.h>
#include <ucontext.h>

#include "thread.h"

/*
 * Sampling on, at rate_hz (1..1000) ticks a second of CPU time and thread. 0; -EBUSY: on already;
 * -EADDRINUSE: the program has a handler for our signal; -EPERM: filters of system calls forbid it;
 * -ENOMEM.
 */
PA_AGENT int pa_tick_start(unsigned rate_hz);

/* Sampling off; no timer and no signal of ours is left when it returns. */
PA_AGENT void pa_tick_stop(void);

/* In a new thread while ticks are on; and at its exit. start_routine: what a residue is charged to.
 */
PA_APP void pa_tick_thread_begin(struct pa_thread *thread);
PA_APP void pa_tick_thread_end(struct pa_thread *thread);

/* Our signal came, from a timer. */
PA_SIGNAL void pa_tick_answer(const siginfo_t *info, const ucontext_t *context);

/* In a forked child: no timers there. */
PA_BOOT void pa_tick_atfork_child(void);

/* No tick comes to the calling thread from here on; it is counted as without a timer. */
PA_APP void pa_tick_thread_deaf(struct pa_thread *thread);

/* Before the calling thread enters a sandbox: as above; what it has used so far is charged. */
PA_APP void pa_tick_thread_confined(struct pa_thread *thread);

/* Before all threads do: deletes all timers. */
PA_APP void pa_tick_all_confined(void);

#endif

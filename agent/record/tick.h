/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU ticks: one POSIX timer per thread on its CPU clock, delivered to that thread by a real-time
 * signal of the agent, so that a program which uses SIGPROF or ITIMER_PROF itself is not disturbed.
 *
 * Threads that exist when sampling starts get their timer from an agent thread; threads created
 * later create their own. Each period of CPU time has one tick, at a changing point. The kernel
 * delivers ticks late: those that are due and not delivered are charged when the thread ends, and
 * when a profile does, so short-lived threads and those that never run for long count.
 *
 * Context: as marked. Lock: PA_LOCK_CONFIG in start and stop. When queued signals run out, threads
 * have no timer (timers_failed).
 */
#ifndef PA_TICK_H
#define PA_TICK_H

#include <signal.h>
#include <ucontext.h>

#include "thread.h"

/*
 * Starts sampling at rate_hz (1..1000) ticks per second of each thread's CPU time. 0; -EBUSY:
 * already on; -EADDRINUSE: the program has a handler for the agent's signal; -EPERM: a seccomp
 * filter denies it; -ENOENT: /proc does not list the threads of this process.
 */
PA_AGENT int pa_tick_start(unsigned rate_hz);

/* Stops sampling; when it returns, no timer exists and no signal is pending. Records the rest of
 * each thread before, as pa_tick_charge. */
PA_AGENT void pa_tick_stop(void);

/* Sampling goes on, for another profile than the one that ends: records the ticks that are due and
 * not delivered yet, as events with PA_EVENT_REST. */
PA_AGENT void pa_tick_charge(void);

/* In a new thread while ticks are on, and at its exit. The residue is charged to start_routine. */
PA_APP void pa_tick_thread_begin(struct pa_thread *thread);
PA_APP void pa_tick_thread_end(struct pa_thread *thread);

/* In the agent's handler, for a signal of a timer. */
PA_SIGNAL void pa_tick_answer(const siginfo_t *info, const ucontext_t *context);

/* In a forked child: timers are not inherited. */
PA_BOOT void pa_tick_atfork_child(void);

/* Deletes the calling thread's timer; it counts as a thread without one. */
PA_APP void pa_tick_thread_small_altstack(struct pa_thread *thread);

/* Before the calling thread enters a sandbox: as above, and charges its CPU time so far. */
PA_APP void pa_tick_thread_confined(struct pa_thread *thread);

/* Before all threads enter one: deletes all timers. */
PA_APP void pa_tick_all_confined(void);

#endif

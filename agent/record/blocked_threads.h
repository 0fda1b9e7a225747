/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks of threads that must not be signalled: those in a system call that a signal ends with
 * EINTR in spite of SA_RESTART (poll, nanosleep, pause ..., see signal(7)), or in a socket call,
 * since the socket may have a timeout. The program would see the EINTR.
 *
 * The kernel reports pc and sp of such a thread, and its stack is memory of this process that can
 * be copied. bp is unknown: the stack ends at the first frame whose CFA depends on bp, unless an
 * inner frame saved it.
 *
 * Context: PA_AGENT, except for the two functions that inspect a call. Reads /proc, and stack
 * memory only through system calls, since the thread may wake up and end at any moment.
 * No lock. When the ring is full: PA_BLOCKED_THREADS_FULL.
 */
#ifndef PA_BLOCKED_THREADS_H
#define PA_BLOCKED_THREADS_H

#include "../arch/arch.h"
#include "thread_dump.h"

/*
 * In the agent's signal handler, before it returns: hides the interruption from the program by
 * repeating the call. Usually the thread was running when its position was read, or its CPU timer
 * expired, and it blocked before the signal arrived: the call has just begun, so its full timeout
 * still applies.
 */
PA_SIGNAL void pa_blocked_threads_hide_interruption(ucontext_t *context);

/* In the agent's handler: true when the thread was in a call with a temporary signal mask
 * (sigsuspend, ppoll, pselect, epoll_pwait) that leaves the signal unblocked. */
PA_SIGNAL bool pa_blocked_threads_passed_mask(const ucontext_t *context, int signal);

enum pa_blocked_threads {
	PA_BLOCKED_THREADS_NOT,     /* running, or a signal is harmless: send it */
	PA_BLOCKED_THREADS_WRITTEN, /* its event is in the ring */
	PA_BLOCKED_THREADS_FULL,    /* the ring has no room */
	PA_BLOCKED_THREADS_UNKNOWN  /* blocked, and its stack is unreadable: do not signal it */
};

/* Writes the event for the thread of entry if it is blocked in such a call. word: value[0] of the
 * event. */
PA_AGENT enum pa_blocked_threads pa_blocked_threads_answer(struct pa_thread_dump_entry *entry,
	uint64_t word);

#endif

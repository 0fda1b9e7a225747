/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The number of a system call whose instruction is shared by many functions of libc.
 *
 * glibc 2.41 and newer make all calls that are cancellation points in one function. When a signal
 * interrupts one, the code does not show its number, and the result has replaced it in the
 * registers: it is an argument on the stack, at a distance from sp that depends on version and
 * compiler. The agent learns it from the libc of this process: an agent thread makes two calls with
 * known numbers through libc, which its own signal ends with EINTR at once, and looks in its
 * handler where the numbers are.
 *
 * Context: as marked. No lock: pa_shared_call_learn runs under PA_LOCK_SIGNAL. No memory.
 */
#ifndef PA_SHARED_CALL_H
#define PA_SHARED_CALL_H

#include <signal.h>
#include <time.h>
#include <ucontext.h>

#include "../base/base.h"

/*
 * A function of libc that makes the system call of that number. It waits for a signal with that
 * mask and at most for that time; both are not NULL.
 */
struct pa_shared_call_probe {
	long number;
	void (*call)(const struct timespec *timeout, const sigset_t *mask);
};

#define PA_SHARED_CALL_PROBES 2

/* ppoll and pselect. */
extern const struct pa_shared_call_probe pa_shared_call_of_libc[PA_SHARED_CALL_PROBES] PA_HIDDEN;

/*
 * Learns from calls with different numbers, with thread cancellation enabled and disabled: libc has
 * an instruction for each of these, and uses the second one in a process of one thread as well.
 * The agent's handler must be installed, and call pa_shared_call_answer. True: nothing is left to
 * learn, or the calls share no instruction. False: may be called again, since a call was not
 * interrupted (sandbox, RLIMIT_SIGPENDING) or both used one instruction. 20 us.
 */
PA_AGENT bool pa_shared_call_learn(const struct pa_shared_call_probe *probes);

/* In the agent's handler: true when this thread makes a probe. The signal was the probe's, or is
 * queued again for other threads. */
PA_SIGNAL bool pa_shared_call_answer(const siginfo_t *info, const ucontext_t *context);

/*
 * For a thread that a signal interrupted in a system call: its number, when its instruction is one
 * that was learned; else -1. Reads the thread's own stack.
 */
PA_SIGNAL long pa_shared_call_number(const ucontext_t *context);

/* In a forked child: no probe is under way. What was learned stays. */
PA_BOOT void pa_shared_call_atfork_child(void);

#endif

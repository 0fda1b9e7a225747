/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's one signal: its users, and what the program sees of it.
 *
 * CPU ticks (tick.c) and thread dumps (thread_dump.c) share it. The agent's handler is installed
 * only while one of them uses it; before and after, the disposition is the program's. A signal with
 * this number from another sender goes to the program's handler.
 *
 * Context: as marked. Lock: PA_LOCK_SIGNAL in take and release.
 */
#ifndef PA_SIGNAL_H
#define PA_SIGNAL_H

#include <signal.h>
#include <ucontext.h>

#include "../base/base.h"
#include "disposition.h"

/*
 * si_uid of a signal that the agent queues. Its si_code is SI_TIMER: execve(2) drops such signals
 * when they are pending (flush_itimer_signals, fs/exec.c), where another one would end the new
 * program. A timer has its overrun in place of the uid, which is not negative (timer_create(2)).
 */
#define PA_SIGNAL_QUEUED_UID ((uid_t)INT32_MIN)

/* Parts of the agent's handler. All run in it (PA_SIGNAL), on the interrupted thread. */
struct pa_signal_callbacks {
	/* si_code is SI_TIMER, and it is not PA_SIGNAL_QUEUED_UID. */
	void (*on_timer)(const siginfo_t *info, const ucontext_t *context);
	/* Any other signal. False: not the agent's, pass it to the program's handler. */
	bool (*on_queued)(const siginfo_t *info, const ucontext_t *context);
	/* PA_AGENT: with the handler installed, until it returns true. */
	bool (*learn)(void);
	/* PA_BOOT: in a forked child. */
	void (*atfork_child)(void);
	/* Last, to hide the interruption from the interrupted thread. */
	void (*before_return)(ucontext_t *context);
	/* True when the thread waited with a temporary mask that let the signal through. */
	bool (*passed_mask)(const ucontext_t *context, int signal);
};

/* real_sigaction: changes a disposition without running the hooks. handlers: constant. */
PA_BOOT void pa_signal_boot(pa_sigaction_fn *real_sigaction,
	const struct pa_signal_callbacks *handlers);

/*
 * Installs the agent's handler, for any number of takers. 0; -EADDRINUSE: the program uses the
 * signal; -errno. Each success needs one pa_signal_release.
 */
PA_AGENT int pa_signal_take(void);
/*
 * For pa_disposition_share, from which on the agent's handler filters signals of the program, and
 * hides interruptions: the reader of the ring learns what pa_signal_take does. Waits at most 100 ms
 * for it.
 */
PA_APP void pa_signal_ask_to_learn(void);
/* On the reader's thread, after each wait. */
PA_AGENT void pa_signal_learn_if_asked(void);

/*
 * After the last release the disposition is the program's, and no signal of the agent is pending.
 * Unless all signals sent have been handled, waits at most a second for threads stopped by a
 * tracer; if one stays stopped the agent's handler stays installed, and passes on signals of other
 * senders.
 */
PA_AGENT void pa_signal_release(bool all_answered);

/* As release, on a thread of the program: does not wait for tracers. A signal held by a tracer
 * meets the program's disposition. */
PA_APP void pa_signal_release_now(void);

/* Signals of the agent may arrive at any later time: from now on they are ignored where they would
 * end the program. */
PA_SIGNAL void pa_signal_keep(void);

/* The program uses the signal by its number (blocks it, waits for it): the agent stops using it. */
PA_SIGNAL void pa_signal_is_taken(void);

/* Minimum size of an alternate stack for the agent's signal: the kernel's frame and the handler. */
PA_SIGNAL size_t pa_signal_stack_bytes(void);

/* True after that, or when the program has a handler meant for this signal: leave the signal in all
 * masks. */
PA_SIGNAL bool pa_signal_is_of_program(void);

/* In a forked child: restores the program's disposition at once. */
PA_BOOT void pa_signal_atfork_child(void);

#endif

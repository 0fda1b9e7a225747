/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disposition of the agent's signal: the kernel's action, and the one that the program believes
 * is set.
 *
 * The program owns it except while a profile or a thread dump uses the signal. Every change, by the
 * agent or the program, takes one latch and computes the kernel's action anew: the program may set
 * its action at any moment, and no signal of the agent reaches an action of the program.
 *
 *   OF_PROGRAM   the kernel has the program's action
 *   OURS         the agent's handler; sigaction() stores the program's action for later, and
 *                returns it
 *   IGNORED      signals of the agent may still arrive at any time: as OURS, but ignored, or (when
 *                the program sets a handler) filtered by the agent's handler
 *   SHARED       the agent's handler filters for good: the program sends itself the signal, and
 *                some threads have it unblocked although they rely on its being blocked
 *
 * Context: as marked. Lock: a latch. No memory.
 */
#ifndef PA_DISPOSITION_H
#define PA_DISPOSITION_H

#include <signal.h>

#include "../base/base.h"

typedef int pa_sigaction_fn(int, const struct sigaction *, struct sigaction *);
typedef void pa_disposition_handler(int, siginfo_t *, void *);

PA_BOOT void pa_disposition_boot(pa_sigaction_fn *real_sigaction, pa_disposition_handler *ours);

/* Installs the agent's handler. 0; -EADDRINUSE: the program has a handler meant for this signal;
 * -errno. */
PA_AGENT int pa_disposition_install(void);

/* Discards pending signals of all threads; the handler stays installed. */
PA_APP void pa_disposition_drop_pending(void);

/* Restores the program's action. for_ever: state IGNORED instead. */
PA_APP void pa_disposition_restore(bool for_ever);

/*
 * The program's sigaction() for the agent's signal, with its result and errno. In a child that
 * shares memory (vfork) it acts on the kernel's action.
 */
PA_APP int pa_disposition_change(const struct sigaction *action, struct sigaction *old);

/* In the agent's handler, for a signal of another sender: runs the program's handler, or ends the
 * process by the default action. False: the program ignores the signal. */
PA_SIGNAL bool pa_disposition_forward(int signal, siginfo_t *info, void *context);

/* True when the program has a handler for this signal, and not the same for all adjacent
 * signals. */
PA_SIGNAL bool pa_disposition_is_handled(void);

/* Enters state SHARED: the agent does not use the signal any more. From any state; errno kept. */
PA_SIGNAL void pa_disposition_share(void);
PA_SIGNAL bool pa_disposition_is_shared(void);

/* True while the agent's handler is installed for the agent's own use. */
PA_SIGNAL bool pa_disposition_is_ours(void);

/* From now on the handler runs on the current stack of each thread, see altstack.h; and whether it
 * does. errno kept. */
PA_SIGNAL void pa_disposition_leave_alternate(void);
PA_SIGNAL bool pa_disposition_leaves_alternate(void);

/* The next signal below (step -1) or above (1) number that a program can set; 0: none. */
PA_SIGNAL int pa_disposition_neighbour(int number, int step);

/* True when the set has the signals on both sides of the agent's: the program means all signals. */
PA_SIGNAL bool pa_disposition_has_neighbours(const sigset_t *set);

/* In a forked child: no signal of the agent is pending. */
PA_BOOT void pa_disposition_atfork_child(void);

#endif

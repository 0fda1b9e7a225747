/*
 * The disposition of our signal: what the kernel has, and what the program believes.
 *
 * It is the program's, but while a profile or a rollcall takes the signal. Every change, ours and
 * the program's, is made under one latch that also decides anew: so the program may set it at
 * any moment, and no signal of ours meets an action of the program.
 *
 *   OF_PROGRAM   the kernel has what the program set
 *   OURS         our handler; what the program sets is kept for later, and told when it asks
 *   IGNORED      signals of ours will come for ever: as OURS, but ignored, or (when the program
 *                wants a handler) with ours in front of it
 */
#ifndef PA_DISPOSITION_H
#define PA_DISPOSITION_H

#include <signal.h>

#include "../base/base.h"

typedef int pa_sigaction_fn(int, const struct sigaction *, struct sigaction *);
typedef void pa_disposition_handler(int, siginfo_t *, void *);

PA_BOOT void pa_disposition_boot(pa_sigaction_fn *real_sigaction, pa_disposition_handler *ours);

/* Our handler from here on. 0; -EADDRINUSE: the program has one that is meant for this signal;
 * -errno. */
PA_AGENT int pa_disposition_install(void);

/* What is pending anywhere is dropped; our handler stays. */
PA_AGENT void pa_disposition_drop_pending(void);

/* The program's again. for_ever: it stays IGNORED. */
PA_AGENT void pa_disposition_restore(bool for_ever);

/*
 * sigaction() of the program for our signal, with its result and errno. In a child that shares our
 * memory (vfork) it is the kernel's.
 */
PA_APP int pa_disposition_change(const struct sigaction *action, struct sigaction *old);

/* A signal of our number that is not ours: does what the program would have seen, by its handler
 * or by its end. In our handler only. */
PA_SIGNAL void pa_disposition_forward(int signal, siginfo_t *info, void *context);

/* The program has a handler for our signal, and not for all the signals around it as well. */
PA_SIGNAL bool pa_disposition_is_handled(void);

/* Our handler is installed. */
PA_SIGNAL bool pa_disposition_is_ours(void);

/* From here on our handler runs on the stack that a thread is on, see altstack.h; and whether it
 * does. errno kept. */
PA_SIGNAL void pa_disposition_leave_alternate(void);
PA_SIGNAL bool pa_disposition_leaves_alternate(void);

/* The next signal below (step -1) or above (1) number that a program can set; 0: there is none. */
PA_SIGNAL int pa_disposition_neighbour(int number, int step);

/* In a forked child: no signal of ours is on its way. */
PA_BOOT void pa_disposition_atfork_child(void);

#endif

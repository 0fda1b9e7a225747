/*
 * Our one signal: who uses it, and what the program sees of it.
 *
 * CPU ticks (tick.c) and rollcalls (rollcall.c) share it. It has our handler only while somebody
 * takes it; before and after, its disposition is the program's. A signal of that number that is
 * neither goes to the program's handler.
 */
#ifndef PA_SIGNAL_H
#define PA_SIGNAL_H

#include <signal.h>

#include "../base/base.h"
#include "disposition.h"

/* real_sigaction: how record/ changes a disposition without meeting the program's hooks. */
PA_BOOT void pa_signal_boot(pa_sigaction_fn *real_sigaction);

/*
 * Our handler from here on, for as many takers as there are. 0; -EADDRINUSE: the program uses the
 * signal itself; -errno. Each success wants one pa_signal_release.
 */
PA_AGENT int pa_signal_take(void);
/*
 * After the last one the signal is the program's again, and none of ours is pending anywhere.
 * Unless all that were sent have been answered this waits for threads in the hands of a tracer, at
 * most a second; if one stays there our handler stays too, and passes on what is not ours.
 */
PA_AGENT void pa_signal_release(bool all_answered);

/* As release, on a thread of the program: it waits for no tracer. What a tracer has in hands is met
 * by what the program set. */
PA_APP void pa_signal_release_now(void);

/* Signals of ours will come for ever: they are ignored from now on, where they would kill. */
PA_SIGNAL void pa_signal_keep(void);

/* The program uses our signal by name (blocks it, waits for it): nobody will take it. */
PA_SIGNAL void pa_signal_is_taken(void);

/* The bytes that an alternate stack has to have for our signal: the kernel's frame, our handler. */
PA_SIGNAL size_t pa_signal_stack_bytes(void);

/* That, or it has a handler that is meant for it: the signal is to be left in every mask. */
PA_SIGNAL bool pa_signal_is_of_program(void);

/* In a forked child: the disposition goes back at once. */
PA_BOOT void pa_signal_atfork_child(void);

#endif

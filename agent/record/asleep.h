/*
 * Stacks of threads that must not be woken: those who sleep in a system call that a signal ends
 * with EINTR, whatever SA_RESTART says (poll, nanosleep, pause ...), or on a socket, which may have
 * a timeout. Their program would see it.
 *
 * The kernel tells where such a thread stands, and its stack is in our memory to be copied. What it
 * does not tell is bp: a stack breaks off at the first frame that is found by it, unless the frames
 * before have saved it.
 *
 * Context: PA_AGENT, but for the two that only look at a call; reads /proc, and memory only by the
 * kernel, since the thread may wake up and end at any moment.
 */
#ifndef PA_ASLEEP_H
#define PA_ASLEEP_H

#include "regs.h"
#include "rollcall.h"

/*
 * For our signal handler, before it returns: the program must not see that its call was
 * interrupted. Mostly the thread was awake when it was looked at, or its CPU timer ran out, and it
 * went to sleep before the signal came: the call has just begun, and its whole time is left of it.
 */
PA_SIGNAL void pa_asleep_hide_interruption(ucontext_t *context);

enum pa_asleep {
	PA_ASLEEP_NOT,     /* awake, or a signal does not harm: ask it */
	PA_ASLEEP_WRITTEN, /* its answer is in the ring */
	PA_ASLEEP_FULL,    /* no room in the ring */
	PA_ASLEEP_UNKNOWN  /* asleep, and its stack cannot be read: leave it alone */
};

/* Answers for the thread of entry, if it sleeps like that. word: value[0] of the event. */
PA_AGENT enum pa_asleep pa_asleep_answer(struct pa_roll_entry *entry, uint64_t word);

#endif

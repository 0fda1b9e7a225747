/*
 * Stacks of threads that must not be woken: those who sleep in a system call that a signal ends
 * with EINTR, whatever SA_RESTART says (poll, nanosleep, pause ...). Their program would see it.
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

/* Does a signal end this call with EINTR in spite of SA_RESTART? */
PA_SIGNAL bool pa_asleep_never_restarts(const struct pa_call *call);

/*
 * May this call, which a signal of ours has ended with EINTR, be made again as if nothing had been?
 * Not when it waits for signals: a handler of the program may have run in the same moment, and then
 * the call would never end. (With any other call, such a moment is as if the signal had come just
 * before the call.) Also sockets with a timeout, which wait it out anew.
 */
PA_SIGNAL bool pa_asleep_may_begin_again(const struct pa_call *call);

enum pa_asleep {
	PA_ASLEEP_NOT,     /* awake, or a signal does not harm: ask it */
	PA_ASLEEP_WRITTEN, /* its answer is in the ring */
	PA_ASLEEP_FULL,    /* no room in the ring */
	PA_ASLEEP_UNKNOWN  /* asleep, and its stack cannot be read: leave it alone */
};

/* Answers for the thread of entry, if it sleeps like that. word: value[0] of the event. */
PA_AGENT enum pa_asleep pa_asleep_answer(struct pa_roll_entry *entry, uint64_t word);

#endif

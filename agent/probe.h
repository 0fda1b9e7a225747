/*
 * Filters of system calls that are in force when we start: put on by a launcher, a container.
 *
 * What they say to a call can only be found out by making it, and they may end the process for it.
 * So a child of ours, with memory of its own, makes all those of record/calls.h first; the program
 * hears nothing of it (no SIGCHLD, not in its wait()). To make a child takes a call that may be
 * forbidden, too: first it must be known that somebody could do that under these filters.
 *
 * Context: PA_BOOT, or PA_APP where boot was put off.
 */
#ifndef PA_PROBE_H
#define PA_PROBE_H

#include "record/sandbox.h"

enum pa_probe_state {
	PA_PROBE_FREE,    /* no filter is in force */
	PA_PROBE_PROVEN,  /* processes can be made: our parent has these filters, or we are
	                     the first process of a container */
	PA_PROBE_UNKNOWN  /* the filters were put on just before this program */
};

/*
 * By /proc/self/status, which takes no call that the loader has not made to load us. Where that
 * cannot be read: unknown. 10 us, and of our parent's where a filter is in force.
 */
PA_BOOT enum pa_probe_state pa_probe_look(void);

/*
 * What is forbidden, of enum pa_calls. 0.1 ms, and so much again for each call that ends a child.
 * by_thread: what is known is that threads can be made, by clone3 where there is such a call.
 */
PA_BOOT uint32_t pa_probe_denied(bool by_thread);

/*
 * Boot may go on, with what is forbidden in pa_sandbox_all. False: not before a sign, or not at
 * all. again: the sign has come.
 */
PA_BOOT bool pa_probe_boot(void);
PA_APP bool pa_probe_again(bool by_thread);

#endif

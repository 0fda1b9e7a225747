/*
 * The end of a program whose last thread ended by the raw system call.
 *
 * libc does not hear of such an end. The kernel ends a process with its last thread, which would
 * now be one of ours: so the collector looks from time to time whether others are left.
 *
 * Context: PA_AGENT, the collector's thread alone.
 */
#ifndef PA_LAST_H
#define PA_LAST_H

#include "../base/base.h"

/* True when no thread of the program is left; *status: main's when nothing was seen to outlive it,
 * else 0 (the kernel keeps no other thread's). Costs a system
 * call or two, as long as the thread that was found last time is there. */
PA_AGENT bool pa_last_is_gone(int *status);

/* As above, at most once a second; ends the process as it would have ended. */
PA_AGENT void pa_last_look(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends a process whose last program thread has exited by the raw system call.
 *
 * libc does not notice such an exit. The kernel ends a process with its last thread, which would
 * then be one of ours: so the collector regularly checks whether other threads exist.
 *
 * Context: PA_AGENT, the collector only. No lock, no memory.
 */
#ifndef PA_LAST_THREAD_H
#define PA_LAST_THREAD_H

#include "../base/base.h"

/*
 * True if no thread of the program exists; *status: main's exit status if no thread was seen to
 * outlive it, otherwise 0 (the kernel keeps no other). Costs one or two system calls while the
 * thread found last time exists.
 */
PA_AGENT bool pa_last_thread_is_gone(int *status);

/* Calls pa_last_thread_is_gone at most once a second, and ends the process with its status. */
PA_AGENT void pa_last_thread_look(void);

#endif

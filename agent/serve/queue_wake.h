/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wakes the accepting thread, which sleeps in poll() over all connections, when a worker gave it
 * one more. By an eventfd in the agent's own descriptor table; where the table is the program's,
 * which could close it, there is none.
 *
 * Context: PA_AGENT or as marked. open and forget while no other thread uses it.
 */
#ifndef PA_QUEUE_WAKE_H
#define PA_QUEUE_WAKE_H

#include "../base/base.h"

/* Does nothing when it is open. */
PA_AGENT void pa_queue_wake_open(void);

/* The descriptor table that has it is gone. */
PA_AGENT void pa_queue_wake_forget(void);

/* Descriptor to poll; -1: none, the accepting thread must look again after a time. */
PA_AGENT int pa_queue_wake_fd(void);

/* On any thread. */
PA_AGENT void pa_queue_wake(void);

/* After a poll that returned it. */
PA_AGENT void pa_queue_wake_drain(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stops the HTTP server after an idle time, so that an agent without clients has as few threads as
 * before the first one.
 *
 *   SERVING --- look: idle for long enough ---> ASKED --- end ---> ENDING --- begin ---> SERVING
 *      ^------------ resume: a connection ---------'
 *
 * While ENDING no connection is accepted: it waits in the backlog of the listening socket, which
 * stays open, for the next server.
 *
 * Context: PA_AGENT. begin and end on the server thread; look and resume on the accepting
 * thread. No lock.
 */
#ifndef PA_IDLE_TIMEOUT_H
#define PA_IDLE_TIMEOUT_H

#include "../base/base.h"

/* The Makefile sets a shorter time for tests. */
#ifndef PA_IDLE_TIMEOUT_NS
#define PA_IDLE_TIMEOUT_NS (30 * PA_NS_PER_S)
#endif

/* after_ns > 0: idle time after which the server stops; -1: never. */
PA_AGENT void pa_idle_timeout_begin(int64_t after_ns);

/* After begin: pa_idle_timeout_hurry may be called, so pa_idle_timeout_look is useful every
 * PA_IDLE_TIMEOUT_LOOK_NS. */
#define PA_IDLE_TIMEOUT_LOOK_NS PA_NS_PER_S
PA_AGENT void pa_idle_timeout_may_hurry(void);

/* From now on the server stops when there is no connection, if it stops at all. Any thread. */
PA_AGENT void pa_idle_timeout_hurry(void);

/* True while the server thread is asked to stop the server. */
PA_AGENT bool pa_idle_timeout_is_asked(void);

/* To be called while there is no connection. Asks the server to stop and returns 0 if the idle time
 * is over; otherwise returns ns until the next call is useful; -1: never. */
PA_AGENT int64_t pa_idle_timeout_look(void);

/* What look would return, without asking. Any thread. */
PA_AGENT int64_t pa_idle_timeout_left_ns(void);

/* There is a connection, or one to accept. False: it must be left to the next server. */
PA_AGENT bool pa_idle_timeout_resume(void);

/* False: a connection came first, the server continues. */
PA_AGENT bool pa_idle_timeout_end(void);

#endif

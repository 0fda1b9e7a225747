/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection queue: connections that wait for something are kept here and occupy no worker.
 *
 * A connection goes to a worker when its whole request header has arrived (checked with MSG_PEEK),
 * or when its waiting request is due (waiting_requests.h). So clients that send slowly, that send
 * nothing, or that ask for a profile of a year block no worker. A connection whose request does not
 * arrive is closed after PA_CONN_QUEUE_TIMEOUT_NS. Requests that civetweb would drop without a
 * response, or would misread, are answered here. Answered connections linger here (linger.h).
 *
 * Context: PA_AGENT, the accepting thread only; pa_conn_queue_released on any thread. No lock of
 * its own. Capacity: PA_CONN_QUEUE_CONNECTIONS, including waiting and lingering ones, in addition
 * to the connections on workers. When full: the oldest lingering connection is closed, else the one
 * that has waited longest for its request.
 */
#ifndef PA_CONN_QUEUE_H
#define PA_CONN_QUEUE_H

#include <poll.h>

#include "listen.h"

#define PA_CONN_QUEUE_CONNECTIONS 64
#define PA_CONN_QUEUE_TIMEOUT_NS (30 * PA_NS_PER_S)

/* Starts with an empty queue. fds: of a listener; all -1: none. files_private as in the bridge. */
PA_AGENT void pa_conn_queue_init(const int fds[PA_LISTEN_SOCKETS], bool files_private);

/*
 * Waits until a connection is ready for a worker, or until no connection is left. Returns its
 * descriptor (close-on-exec); -1 with errno EAGAIN. Each descriptor needs one
 * pa_conn_queue_released.
 */
PA_AGENT int pa_conn_queue_accept(void);

/* The worker has closed the connection, or handed it to waiting_requests.h or linger.h. */
PA_AGENT void pa_conn_queue_released(void);

/* Closes connections whose request did not arrive in time. Returns ns until the next timeout; -1:
 * no connection waits. */
PA_AGENT int64_t pa_conn_queue_expire(int64_t now_ns);

/* True while a connection is queued, or may return to the queue: pa_conn_queue_accept has work. */
PA_AGENT bool pa_conn_queue_pending(void);

/* True while the listening descriptors still refer to our sockets: a program that closes all
 * descriptors may have opened its own there. Always true in a private descriptor table. */
PA_AGENT bool pa_conn_queue_is_ours(void);

/* Fills in the listening descriptors to poll; -1 where there is none, or it is not ours. */
PA_AGENT void pa_conn_queue_fill_listeners(struct pollfd polls[PA_LISTEN_SOCKETS]);

/* True if fd is a listening socket or a duplicate of one. */
PA_AGENT bool pa_conn_queue_is_listener(int fd);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of the agent: their numbers, and waiting for them.
 *
 * Context: PA_AGENT, any thread. No lock, no state.
 */
#ifndef PA_LISTEN_FD_H
#define PA_LISTEN_FD_H

#include <poll.h>

#include "../base/base.h"

/*
 * In the program's table our descriptors stay above the numbers that programs count on: FD_SETSIZE
 * loops, shells, dup2().
 */
#define PA_LISTEN_FD_MIN 100

/* Returns fd, or a duplicate >= PA_LISTEN_FD_MIN in its place: always in the program's table, in a
 * private one only of the first three numbers. Returns -1 and closes fd if there is no such number
 * and files_private is false. */
PA_AGENT int pa_listen_raise(int fd, bool files_private);

/*
 * ppoll(); timeout_ns < 0: no timeout. If the kernel refuses the call (a seccomp filter that the
 * program installed for all threads), this sleeps for a while, so that a caller in a loop does not
 * consume a processor.
 */
PA_AGENT int pa_listen_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns);

#endif

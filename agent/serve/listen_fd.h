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

/* Returns fd, or in the program's table a duplicate >= PA_LISTEN_FD_MIN in its place. Returns -1
 * and closes fd if there is no such number. */
PA_AGENT int pa_listen_raise(int fd, bool files_private);

/* The lowest number for a descriptor of the agent. In a private table those of the standard streams
 * are in use (private_fds.h). */
PA_INLINE int pa_listen_fd_min(bool files_private)
{
	return files_private ? 0 : PA_LISTEN_FD_MIN;
}

/*
 * ppoll(); timeout_ns < 0: no timeout. If the kernel refuses the call (a seccomp filter that the
 * program installed for all threads), this sleeps for a while, so that a caller in a loop does not
 * consume a processor.
 */
PA_AGENT int pa_listen_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uid of a client: the owner of the other end of a connection on this machine.
 *
 * Context: PA_AGENT, any worker. No lock. Reads the kernel's tables of TCP sockets line by line
 * (tcp_table.h); a unix socket tells it itself.
 */
#ifndef PA_PEER_H
#define PA_PEER_H

#include "request.h"

#define PA_PEER_UNKNOWN (-1LL)

/*
 * Returns the uid of the client's socket in our user namespace; PA_PEER_UNKNOWN if the client is on
 * another machine, has disconnected, or the tables cannot be read.
 */
PA_AGENT int64_t pa_peer_uid(const struct pa_request *request);

/* True for the real and the effective user of the program, and for root. */
PA_AGENT bool pa_peer_is_of_program(int64_t uid);

#endif

/*
 * Whose client it is: the user whose process has the other end of a connection on this machine.
 *
 * Context: PA_AGENT, any worker. Reads the kernel's tables of TCP sockets, line by line.
 */
#ifndef PA_PEER_H
#define PA_PEER_H

#include "request.h"

#define PA_PEER_UNKNOWN (-1LL)

/*
 * The uid of the client's socket, as our user namespace has it; PA_PEER_UNKNOWN when the client is
 * on another machine, has gone, or the tables cannot be read.
 */
PA_AGENT int64_t pa_peer_uid(const struct pa_request *request);

/* True for the user that the program runs as (real or effective), and for root. */
PA_AGENT bool pa_peer_is_of_program(int64_t uid);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Response without an HTTP server, when a limit of the program leaves no threads for one.
 *
 * Context: PA_AGENT, the server thread while no HTTP server runs. No lock. Allocates nothing.
 */
#ifndef PA_MINIMAL_SERVER_H
#define PA_MINIMAL_SERVER_H

#include "listen.h"

/*
 * Accepts the next connection of a listener, whose descriptors do not block, and answers any
 * request with 503 and a text that names the limit (a constant). Takes one second at most.
 */
PA_AGENT void pa_minimal_server_for_limit(const int fds[PA_LISTEN_SOCKETS], const char *limit);

#endif

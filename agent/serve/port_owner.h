/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the process that already listens on the configured address, for the message on stderr.
 *
 * Context: PA_AGENT, the server thread. No lock. Reads /proc of other processes, as far as
 * permitted and for a bounded time.
 */
#ifndef PA_PORT_OWNER_H
#define PA_PORT_OWNER_H

#include "address.h"

#define PA_PORT_OWNER_NAME_BYTES 16

struct pa_port_owner {
	int pid;
	char name[PA_PORT_OWNER_NAME_BYTES]; /* as in /proc/PID/comm: arbitrary bytes */
};

/*
 * Fills *owner with the process that listens where address would be bound. An agent in another
 * process keeps its sockets in a descriptor table of its own threads; these are searched as well.
 * False: unknown (another user's process, another namespace, or budget_ns is over).
 */
PA_AGENT bool pa_port_owner_find(const struct pa_address *address, int64_t budget_ns,
	struct pa_port_owner *owner);

#endif

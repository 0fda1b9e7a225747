/*
 * Who has the port: the process behind a listening socket that was there before us.
 *
 * Context: PA_AGENT. Reads /proc of other processes, as far as that is permitted and only for a
 * bounded time.
 */
#ifndef PA_OWNER_H
#define PA_OWNER_H

#include <netinet/in.h>

#include "../base/base.h"

#define PA_OWNER_NAME_BYTES 16

struct pa_owner {
	int pid;
	char name[PA_OWNER_NAME_BYTES]; /* as the kernel has it: any bytes */
};

/*
 * Finds the process that listens where address would be bound. An agent in another process keeps
 * its sockets in a descriptor table that only its own threads have: those are looked through as
 * well. False when it is not known: another user's, another namespace's, or budget_ns was over.
 */
PA_AGENT bool pa_owner_find(const struct sockaddr_in *address, int64_t budget_ns,
	struct pa_owner *owner);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds where the agent of another process listens, and proves by /proc that the socket is that
 * process's: a name of a thread alone can be given by any program.
 *
 * Context: PA_AGENT, the worker of the request. No lock, no cache; about 0.2 ms.
 */
#ifndef PA_RELAY_TARGET_H
#define PA_RELAY_TARGET_H

#include "proc_process.h"

struct pa_relay_target {
	pid_t pid;            /* as in /proc */
	pid_t inner;          /* as its agent calls itself, in its own pid namespace */
	uint64_t start_ticks; /* since the machine's start */
	struct pa_address address;
};

enum pa_relay_target_verdict {
	PA_RELAY_TARGET_FOUND,
	PA_RELAY_TARGET_SELF,    /* this process */
	PA_RELAY_TARGET_UNKNOWN, /* no descendant with an agent, or of another user */
	PA_RELAY_TARGET_UNREACHABLE
};

/* *why: the reason if it is unreachable, as it follows "process N". */
PA_AGENT enum pa_relay_target_verdict pa_relay_target_find(pid_t pid,
	struct pa_relay_target *target, const char **why);

/* Begins to connect to it. Returns a descriptor, which does not block and can be written to once it
 * is connected; or -errno. A unix socket of another process is refused. */
PA_AGENT int pa_relay_target_connect(const struct pa_relay_target *target);

/* Where the server thread of that process listens on its port. False: no socket of it does. */
PA_AGENT bool pa_relay_target_socket(pid_t pid, const struct pa_proc_process_agent *agent,
	struct pa_address *address);

/*
 * Checks the beginning of the response of the agent page as JSON: is it the page of that process?
 * 1: it is; 0: not enough bytes yet; -1: it is not.
 */
PA_AGENT int pa_relay_target_confirm(const struct pa_relay_target *target, const char *response);

#endif

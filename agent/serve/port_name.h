/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the server thread: "pprof:PORT" while it listens. So `ps -eLo pid,comm | grep pprof:`
 * finds every process under the agent on a host, with nothing to clean up.
 *
 * Context: PA_AGENT, any thread. No state. A name has at most 15 characters (PR_SET_NAME in
 * prctl(2)), which "pprof:65535" does not exceed.
 */
#ifndef PA_PORT_NAME_H
#define PA_PORT_NAME_H

#include "../base/base.h"

/* Thread of an agent that has no server: the collector, and the server thread before and after it
 * listens. */
#define PA_PORT_NAME_NONE "pprofagent"

/* Names the calling thread after the port; 0: PA_PORT_NAME_NONE. */
PA_AGENT void pa_port_name_set(uint16_t port);

/* Port in the name of a thread, as /proc/PID/task/TID/comm shows it; 0: no server thread. */
PA_AGENT uint16_t pa_port_name_parse(const char *comm);

#endif

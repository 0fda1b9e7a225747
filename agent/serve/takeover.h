/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the configured address over: a child found it taken, serves on a free port, and moves when
 * the process that holds the address ends (daemon(3), a server whose first process ends).
 *
 * The holder is looked for among the ancestors (pa_proc_process_find_agent), and watched by a
 * pidfd (pidfd_open(2), Linux 5.3), which costs no wake-ups. Without a holder or a pidfd the
 * address is tried at growing intervals.
 *
 * Context: PA_AGENT, the server thread; while that runs the HTTP server, the render thread. No
 * lock. Owns one descriptor, close-on-exec, in a private table only.
 */
#ifndef PA_TAKEOVER_H
#define PA_TAKEOVER_H

#include "listen.h"

#define PA_TAKEOVER_FIRST_NS PA_NS_PER_S
#define PA_TAKEOVER_LAST_NS (64 * PA_NS_PER_S)

/* Begins to watch. parent: the process that this one was forked from; 0: none. may_watch: the
 * descriptor table is private, and pidfd_open may be called. */
PA_AGENT void pa_takeover_begin(const struct pa_address *wanted, pid_t parent, bool may_watch);

/* True from begin to end. */
PA_AGENT bool pa_takeover_is_wanted(void);

/* To poll for POLLIN while the server thread sleeps; -1: none. */
PA_AGENT int pa_takeover_fd(void);

/* ns until pa_takeover_is_due may change; -1: pa_takeover_fd tells, or there is nothing to do. */
PA_AGENT int64_t pa_takeover_wait_ns(void);

/* True if the address should be tried now. */
PA_AGENT bool pa_takeover_is_due(void);

/* The address is still taken: watches its holder, or waits longer. */
PA_AGENT void pa_takeover_again(void);

/* Ends it: the address is ours. */
PA_AGENT void pa_takeover_end(void);

/* In a forked child, and after the agent's threads were suspended: the descriptor does not exist
 * any more. */
PA_BOOT void pa_takeover_reset(void);

#endif

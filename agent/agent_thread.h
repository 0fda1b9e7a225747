/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creates agent threads: role agent, all signals blocked, SCHED_OTHER, not in libc's count.
 *
 * Context: PA_AGENT; boot and a forked child create the first thread of a process. Lock: the
 * loader's (PA_LOCK_LOAD), owned by agent.c.
 * Memory: the start parameters come from the allocator behind the hooks.
 */
#ifndef PA_AGENT_THREAD_H
#define PA_AGENT_THREAD_H

#include "base/lock.h"
#include "core/bridge.h"
#include "record/thread_ends.h"

/* loader: held while libc creates a thread. Both remain the caller's. */
PA_BOOT void pa_agent_thread_boot(const struct pa_bridge *bridge, struct pa_lock *loader);

/* The program has begun to end: an agent thread that is the last one need not end the process. */
PA_APP void pa_agent_thread_note_exit(void);

/* See is_alone in struct pa_process_ops. */
PA_SIGNAL bool pa_agent_thread_is_alone(void);

/* What libc takes from the stack of each new thread: the static TLS of the program and its
 * libraries, and a little more. */
PA_SIGNAL size_t pa_agent_thread_tls_bytes(void);

/* See spawn, thread_create and thread_joined in struct pa_bridge. */
PA_API int pa_agent_thread(void *(*run)(void *), void *arg, const char *name);
PA_AGENT int pa_agent_thread_joinable(pthread_t *thread, pthread_attr_t *attr, void *(*run)(void *),
	void *arg);
PA_AGENT void pa_agent_thread_joined(pthread_t thread);

#endif

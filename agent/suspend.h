/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Suspends and resumes the agent: ends all its threads, and starts a new one.
 *
 * The kernel then sees the process as without the agent. The new thread is created by the calling
 * thread, and has its attributes at that time (namespaces, root, capabilities, filters). Tables,
 * heap data and the port are kept; requests in progress, and the CPU profiles and traces taken for
 * them, are not.
 *
 * Context: as marked. No lock; one suspension at a time.
 */
#ifndef PA_SUSPEND_H
#define PA_SUSPEND_H

#include "base/thread_slot.h"
#include "core/bridge.h"

/* run: start routine of the agent's first thread, as in pa_agent_thread. */
PA_BOOT void pa_suspend_boot(struct pa_bridge *bridge, void *(*run)(void *));

/*
 * On the agent's first thread, before anything else: waits until the threads of earlier generations
 * have ended, and cleans up after them.
 */
PA_AGENT void pa_suspend_arrive(void);

PA_BOOT void pa_suspend_atfork_child(void);

/* See struct pa_process_ops. */
PA_APP bool pa_suspend_suspend(int64_t timeout_ns, bool for_good);
PA_APP void pa_suspend_resume(void);
PA_APP void pa_suspend_stay(void);

#endif

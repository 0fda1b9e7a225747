/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core in a forked child: its locks and tables stay as the parent's threads left them until the
 * child's own agent thread needs them. Most children end earlier, and each page that they write is
 * copied. No function of the core is called before.
 *
 * Context: as marked. Lock: the loader's (PA_LOCK_LOAD), owned by agent.c.
 */
#ifndef PA_CHILD_CORE_H
#define PA_CHILD_CORE_H

#include "base/lock.h"
#include "core/bridge.h"

/* Both remain the caller's. */
PA_BOOT void pa_child_core_boot(struct pa_bridge *bridge, struct pa_lock *loader);

/*
 * Before a fork: locks the core's tables, waits timeout_ns at most. False: not locked; also when
 * the core has not settled, and its state passes to the child's child.
 */
PA_APP bool pa_child_core_prepare(int64_t timeout_ns);

/* loader_held: the forking thread held the loader's lock; tables_held: result of prepare. */
PA_BOOT void pa_child_core_atfork_child(bool loader_held, bool tables_held);

/* On the agent's first thread, before a call of the core. Takes the loader's lock. */
PA_AGENT void pa_child_core_settle(void);

#endif

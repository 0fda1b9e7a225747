/*
 * The core in a forked child: its locks and tables are as the parent's threads left them, and stay
 * so until the child's own agent thread needs them. Most children are over before that, and each
 * page that they write would be copied. Nothing of the core is called in between.
 *
 * Context: as they say. Lock: the loader's (PA_LOCK_LOAD), whose owner is agent.c.
 */
#ifndef PA_LAG_H
#define PA_LAG_H

#include "base/lock.h"
#include "record/bridge.h"

/* Both stay the caller's. */
PA_BOOT void pa_lag_boot(struct pa_bridge *bridge, struct pa_lock *loader);

/*
 * Before a fork: holds the core's tables still, waits timeout_ns at most. False: not held; so it is
 * where the core lags, and its state goes on to the child's child.
 */
PA_APP bool pa_lag_prepare(int64_t timeout_ns);

/* loader_held: the forking thread held the loader's lock; tables_held: what prepare said. */
PA_BOOT void pa_lag_atfork_child(bool loader_held, bool tables_held);

/* On the agent's thread, before the core is called. Takes the loader's lock. */
PA_AGENT void pa_lag_settle(void);

#endif

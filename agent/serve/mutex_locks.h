/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mutex profile without wakes of conditions: its samples that came by a futex are kept where
 * the names in their waiter's stack say that it waited for a lock (proto/futex_kind.h).
 *
 * Context: PA_AGENT, the render thread only (it symbolizes).
 */
#ifndef PA_MUTEX_LOCKS_H
#define PA_MUTEX_LOCKS_H

#include "../profile/snapshot.h"

/* Is there a sample that may have to go? */
PA_AGENT bool pa_mutex_locks_is_mixed(const struct pa_snapshot *snapshot);

/* A copy with the locks alone, samples of one stack as one: the caller's. NULL: out of memory. */
PA_AGENT struct pa_snapshot *pa_mutex_locks_only(const struct pa_snapshot *snapshot);

#endif

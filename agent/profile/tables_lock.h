/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lock of the collector's tables (PA_LOCK_TABLES), and the counters under it.
 *
 * The collector holds it while it handles a batch of events (a few ms at most), so that fork() can
 * take it in bounded time. Only the collector writes: it reads its tables without the lock, other
 * threads read them with it.
 *
 * Context: PA_AGENT.
 */
#ifndef PA_TABLES_LOCK_H
#define PA_TABLES_LOCK_H

#include "../base/assert.h"

/* For readers: the collector yields the lock to them. */
PA_API void pa_tables_lock(void);
PA_API void pa_tables_unlock(void);
/* False: not acquired within timeout_ns. */
PA_APP bool pa_tables_lock_timed(int64_t timeout_ns);

/* For the collector, between two batches. The lock is not fair: a busy collector would take it
 * again before a waiter wakes up, so this waits a bounded time for waiters. */
PA_AGENT void pa_tables_lock_yielding(void);

/* A thread waits for the lock now by pa_tables_lock_timed. */
PA_AGENT bool pa_tables_lock_is_urgent(void);

PA_AGENT void pa_tables_lock_init(void);
/* In a forked child: unlocked, whatever its state was. */
PA_BOOT void pa_tables_lock_atfork_child(void);

/* Events read from the ring, under the lock. */
struct pa_tables_events {
	uint64_t read; /* including bad ones */
	uint64_t bad;  /* not conforming to event.h */
};
extern struct pa_tables_events pa_tables_events PA_HIDDEN;

#endif

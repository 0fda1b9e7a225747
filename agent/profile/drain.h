/*
 * The collector: the only reader of the ring and the only writer of the tables.
 *
 * Context: PA_AGENT, one thread. It holds PA_LOCK_TABLES while it handles a batch of events
 * (bounded: at most a few ms), so that fork can take the lock in a bounded time. As nobody else
 * writes, the collector reads its tables without the lock; all others read them under it.
 *
 * An event is copied out of the ring and checked before it is used: one that is not what event.h
 * says is skipped and counted.
 */
#ifndef PA_DRAIN_H
#define PA_DRAIN_H

#include "../base/base.h"

/*
 * Sets up the tables. 0 or -errno. Also fills pa_core_bridge->atfork. In a forked child it is
 * called again, and keeps the tables that atfork.child kept.
 */
PA_AGENT int pa_drain_init(void);

/* Reads events and answers requests for snapshots for ever. */
PA_AGENT void pa_drain_run(void) __attribute__((noreturn));

/* PA_LOCK_TABLES, for the threads that read: the collector makes way for them. */
PA_AGENT void pa_drain_lock(void);
PA_AGENT void pa_drain_unlock(void);

/* Statistics, under PA_LOCK_TABLES. */
struct pa_drain_stats {
	uint64_t events_read; /* bad ones included */
	uint64_t events_bad;
};
PA_AGENT struct pa_drain_stats pa_drain_stats(void);

#endif

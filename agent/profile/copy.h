/*
 * Snapshots out of the tables: the collector's half of snapshot.h.
 *
 * Context: PA_AGENT, the collector only. It needs no lock (but for the creators of threads, whose
 * stacks are new; it takes PA_LOCK_TABLES for them): nobody else writes the tables.
 */
#ifndef PA_COPY_H
#define PA_COPY_H

#include "snapshot.h"

/* An empty snapshot with room for the kind's table as it is now. NULL: out of memory. */
PA_AGENT struct pa_snapshot *pa_copy_new(const struct pa_kind *kind);

/*
 * Copies the table, what was lost (as a sample and as comments) and the times. end_ns: the end of a
 * CPU profile, CLOCK_MONOTONIC. Nothing may have been added to the tables since pa_copy_new.
 */
PA_AGENT void pa_copy_fill(struct pa_snapshot *snapshot, int64_t end_ns);

/* In a forked child: what its parent lost of waits and threads is no loss of its own. */
PA_BOOT void pa_copy_atfork_child(void);

#endif

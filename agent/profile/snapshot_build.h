/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds snapshots from the tables.
 *
 * Context: PA_AGENT, the collector only. No lock, because only the collector writes the tables;
 * PA_LOCK_TABLES only to intern stacks of thread creators. Memory: one mapping per snapshot, passed
 * to the caller.
 */
#ifndef PA_SNAPSHOT_BUILD_H
#define PA_SNAPSHOT_BUILD_H

#include "snapshot.h"

/* Returns an empty snapshot with room for the kind's present table. NULL: out of memory. */
PA_AGENT struct pa_snapshot *pa_snapshot_build_new(const struct pa_profile_ops *kind);

/*
 * Copies the table, the losses (as a sample and as comments) and the times. end_ns: end of a CPU
 * profile, CLOCK_MONOTONIC. Nothing may have been added to the tables since pa_snapshot_build_new.
 */
PA_AGENT void pa_snapshot_build_fill(struct pa_snapshot *snapshot, int64_t end_ns);

#endif

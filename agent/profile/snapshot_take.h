/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes snapshots, and other data of the collector.
 *
 * Context: PA_AGENT, any of our threads but the collector, which executes the requests. A snapshot
 * belongs to the caller. Lock: PA_LOCK_DUMP for thread dumps, PA_LOCK_TABLES for counts.
 */
#ifndef PA_SNAPSHOT_TAKE_H
#define PA_SNAPSHOT_TAKE_H

#include "snapshot.h"

/*
 * Waits until the collector has drained everything recorded before the call and copied the table.
 * CPU gives the samples since pa_cpu_start. detail: see take of struct pa_profile_ops.
 * NULL when out of memory, or the collector did not answer within 10 s.
 */
PA_AGENT struct pa_snapshot *pa_snapshot_take(const struct pa_profile_ops *kind, bool detail);

/* Number of records of a kind, for the index page: threads for goroutine and threadcreate, 0 for
 * CPU. Does not wait for the collector: call pa_snapshot_sync before. */
PA_API size_t pa_snapshot_count(const struct pa_profile_ops *kind);

/* Waits until the collector has handled everything recorded before the call, 10 s at most. */
PA_AGENT void pa_snapshot_sync(void);

/* Collector's statistics on the agent page. */
struct pa_profile_stats {
	uint64_t events_read;
	uint64_t events_bad;             /* damaged records, skipped */
	uint64_t frees_unknown;          /* frees whose allocation was not known (it was dropped) */
	uint64_t frees_missed;           /* lost frees: their address was allocated again */
	uint64_t revives_unknown;        /* failed reallocs whose object was not found */
	size_t live_objects, live_bytes; /* in the table, unscaled */
	uint64_t live_dropped;           /* live table full */
	uint64_t allocs_dropped;         /* bucket table full */
	uint64_t ticks_dropped;          /* CPU table full */
	uint64_t contentions_dropped;    /* block or mutex table full */
	uint64_t creations_dropped;      /* threadcreate table full */
	uint64_t values_dropped;         /* stacks of custom profiles: table full */
	size_t block_records, mutex_records, create_records; /* stacks in the tables */
	size_t heap_buckets;
	size_t values; /* in custom profiles */
	struct pa_stack_table_stats stack_table;
	size_t table_bytes; /* memory of all tables of the collector */
};
PA_AGENT struct pa_profile_stats pa_profile_stats(void);

#endif

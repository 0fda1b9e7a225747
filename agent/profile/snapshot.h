/*
 * Snapshots: immutable copies of one profile at one moment, and what is asked of the collector.
 *
 * Context: PA_AGENT, any of our threads but the collector (which serves the requests). The caller
 * owns a snapshot and frees it; stacks and strings in it are the tables' and live for ever.
 * Encoders are pure functions of a snapshot.
 */
#ifndef PA_SNAPSHOT_H
#define PA_SNAPSHOT_H

#include "kinds.h"
#include "sites.h"

struct pa_sample {
	const struct pa_stack *stack;
	int64_t values[PA_KIND_VALUES]; /* unscaled, in the order of the kind's types */
	int64_t bytes_label;   /* heap and allocs: object size of the bucket; else -1 */
	int32_t tid;           /* CPU: the thread; else 0 */
	const char *thread;    /* CPU: its name, UTF-8; else NULL */
};

struct pa_snapshot {
	const struct pa_kind *kind;
	int64_t time_ns;       /* wall clock: start of a CPU profile, moment of any other */
	int64_t duration_ns;   /* 0 when it is no interval */
	int64_t period;        /* of the period type: heap rate in bytes, ns a CPU tick */
	size_t sample_count;
	struct pa_sample *samples;
	size_t comment_count;  /* drops so far, one line each: "dropped 3: allocations ..." */
	char **comments;
	size_t bytes;          /* size of this one allocation, for pa_snapshot_free */
};

/*
 * Waits until the collector has drained everything recorded before the call and copied the table.
 * CPU gives the samples since pa_snapshot_cpu_start. NULL when out of memory, or the collector did
 * not answer within 10 s.
 */
PA_AGENT struct pa_snapshot *pa_snapshot_take(enum pa_kind_id kind);
PA_AGENT void pa_snapshot_free(struct pa_snapshot *snapshot);

/*
 * Empties the CPU table and switches sampling on at rate_hz. 0, -EBUSY when a CPU profile is being
 * taken already, or what tick_start said. Each success wants one pa_snapshot_cpu_stop.
 */
PA_AGENT int pa_snapshot_cpu_start(unsigned rate_hz);
/* Switches sampling off, drains, and returns the profile (NULL: out of memory). */
PA_AGENT struct pa_snapshot *pa_snapshot_cpu_stop(void);

/* Number of records of a kind, for the index page; 0 for CPU. Does not drain. */
PA_AGENT size_t pa_snapshot_count(enum pa_kind_id kind);

/* In a forked child: no CPU profile is being taken. */
PA_BOOT void pa_snapshot_atfork_child(void);

/*
 * Scale of one heap sample: how many objects and bytes the unscaled values[...] stand for, by Go's
 * 1 / (1 - exp(-average size / rate)). rate <= 1: unchanged.
 */
PA_AGENT void pa_snapshot_scale_heap(int64_t count, int64_t bytes, int64_t rate,
	int64_t *scaled_count, int64_t *scaled_bytes);

/* What the agent page shows of the collector's side. */
struct pa_profile_stats {
	uint64_t events_read;
	uint64_t events_bad;        /* damaged records, skipped */
	uint64_t frees_unknown;     /* frees whose allocation was not known (it was dropped) */
	uint64_t frees_missed;      /* frees that were lost: their address was allocated again */
	uint64_t revives_unknown;   /* failed reallocs whose object was not found again */
	size_t live_objects, live_bytes; /* in the table, unscaled */
	uint64_t live_dropped;      /* live table full */
	uint64_t allocs_dropped;    /* bucket table full */
	uint64_t ticks_dropped;     /* CPU table full */
	size_t heap_buckets;
	struct pa_sites_stats sites;
	size_t table_bytes;         /* all memory of the collector's tables */
};
PA_AGENT struct pa_profile_stats pa_profile_stats(void);

#endif

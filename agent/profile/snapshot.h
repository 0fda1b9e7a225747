/*
 * Snapshots: immutable copies of one profile at one moment, and what is asked of the collector.
 *
 * Context: PA_AGENT, any of our threads but the collector (which serves the requests). The caller
 * owns a snapshot and frees it; stacks in it are the tables' and live for ever, what a rollcall
 * found out about threads (names too) lives as long as the snapshot. Encoders are pure functions of
 * a snapshot.
 */
#ifndef PA_SNAPSHOT_H
#define PA_SNAPSHOT_H

#include "../record/contend.h"
#include "../record/labels.h"
#include "kinds.h"
#include "sites.h"

/* 15 bytes of Latin-1 or worse, as UTF-8. */
#define PA_ABOUT_NAME_BYTES 48

/*
 * A thread when the roll was called. What the kernel says of it (state, syscall, argument, words)
 * is there only when it was asked for (pa_snapshot_threads) or when the thread did not answer.
 */
struct pa_about {
	bool answered;         /* its stack is its own; else the stack is PA_PSEUDO_NO_ANSWER */
	char state;            /* as in /proc/PID/stat: R S D T t Z X I; 0: not known */
	int32_t syscall;       /* number of the system call that it is blocked in; -1: none */
	uint64_t argument;     /* its first argument: for futex the address of the word */
	uint32_t words[4];     /* futex: what stands there, [0] the futex word; else zeros. Of a
	                          mutex [2] is the owner's tid, of a join [0] the other's tid */
	enum pa_wait_kind wait; /* known when contention is being recorded; else PA_WAIT_NONE */
	uintptr_t object;      /* what it waits for; 0: not known */
	int64_t waited_ns;     /* for how long so far; 0: not known */
	int32_t creator_tid;   /* who created it; 0: not known */
	const struct pa_stack *creator; /* the call that did, one location; NULL: not known */
	char name[PA_ABOUT_NAME_BYTES]; /* of the thread; UTF-8, "" when it has none */
};

struct pa_sample {
	const struct pa_stack *stack;
	int64_t values[PA_KIND_VALUES]; /* in the order of the kind's types; heap: unscaled */
	int64_t bytes_label;   /* heap and allocs: object size of the bucket; else -1 */
	int32_t tid;           /* CPU and goroutine: the thread; else 0 */
	const char *thread;    /* CPU and goroutine: its name, UTF-8; else NULL */
	const struct pa_labels *labels; /* CPU and goroutine: the thread's own; else NULL */
	const struct pa_about *about; /* goroutine; else NULL. Lives as long as the snapshot */
};

struct pa_snapshot {
	const struct pa_kind *kind;
	int64_t time_ns;       /* wall clock: start of a CPU profile, moment of any other */
	int64_t duration_ns;   /* 0 when it is no interval */
	int64_t period;        /* of the period type: heap rate in bytes, ns a CPU tick */
	int64_t fraction;      /* mutex: one in so many was recorded; else 0 */
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

/* The same of a profile of the program's own (struct pa_custom); NULL also when there is none. */
PA_AGENT struct pa_snapshot *pa_snapshot_take_custom(uint32_t id);

/* Of any kind. */
PA_INLINE struct pa_snapshot *pa_snapshot_take_of(const struct pa_kind *kind)
{
	return kind->id == PA_KIND_CUSTOM ? pa_snapshot_take_custom(kind->custom)
					  : pa_snapshot_take(kind->id);
}

/*
 * PA_KIND_GOROUTINE: calls the roll, which takes up to 200 ms when a thread does not answer; one
 * sample a thread. detail: also what the kernel says of each (about three system calls a thread).
 * pa_snapshot_take of that kind is this one without detail.
 */
PA_AGENT struct pa_snapshot *pa_snapshot_threads(bool detail);

/*
 * PA_KIND_BLOCK or PA_KIND_MUTEX: from the first watch to the last unwatch a kind that the settings
 * leave off is recorded, at rate 1. No effect on others.
 */
PA_AGENT void pa_snapshot_watch(enum pa_kind_id kind);
PA_AGENT void pa_snapshot_unwatch(enum pa_kind_id kind);

/* The rates in the settings have changed: the program asked for others. */
PA_AGENT void pa_snapshot_rates_changed(void);
PA_AGENT void pa_snapshot_free(struct pa_snapshot *snapshot);

/*
 * Empties the CPU table and switches sampling on at rate_hz. 0, -EBUSY when a CPU profile is being
 * taken already, or what tick_start said. Each success wants one pa_snapshot_cpu_stop.
 */
PA_AGENT int pa_snapshot_cpu_start(unsigned rate_hz);
/* Switches sampling off, drains, and returns the profile (NULL: out of memory). */
PA_AGENT struct pa_snapshot *pa_snapshot_cpu_stop(void);

/*
 * Number of records of a kind, for the index page: threads for goroutine and threadcreate, 0 for
 * CPU. Does not drain: pa_snapshot_sync before does.
 */
PA_AGENT size_t pa_snapshot_count(enum pa_kind_id kind);

/* Waits until the collector has dealt with everything recorded before the call, 10 s at most. */
PA_AGENT void pa_snapshot_sync(void);

/* Number of values in a profile of the program's own. */
PA_AGENT size_t pa_snapshot_count_custom(uint32_t id);

/* Of any kind. */
PA_INLINE size_t pa_snapshot_count_of(const struct pa_kind *kind)
{
	return kind->id == PA_KIND_CUSTOM ? pa_snapshot_count_custom(kind->custom)
					  : pa_snapshot_count(kind->id);
}

/* Our threads were away: whoever of them took a CPU profile or watched a kind is gone. The
 * program's own CPU profile goes on. */
PA_AGENT void pa_snapshot_aside(void);

/* In a forked child: no CPU profile is being taken, nobody watches, nobody calls the roll. */
PA_BOOT void pa_snapshot_atfork_child(void);

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
	uint64_t contentions_dropped; /* block or mutex table full */
	uint64_t creations_dropped; /* threadcreate table full */
	uint64_t values_dropped;    /* stacks of the program's own profiles: table full */
	size_t block_records, mutex_records, create_records; /* stacks in the tables */
	size_t heap_buckets;
	size_t values;              /* in the program's own profiles */
	struct pa_sites_stats sites;
	size_t table_bytes;         /* all memory of the collector's tables */
};
PA_AGENT struct pa_profile_stats pa_profile_stats(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kind of profile: what it is called, what its values are, how it is shown, and what is done to
 * record and to copy it. Each kind is one constant of this type in a file of its own, and one line
 * in record/profile_names.h; no other file asks which kind it has.
 *
 * A kind may be a family, whose members are made while the program runs (custom_table.h): events
 * and a fork are the family's matter, all else its members'.
 *
 * Context: data: any. Operations: PA_AGENT; "the collector" stands for the collector's thread only,
 * and what else holds is said of each. An operation that is NULL does nothing.
 */
#ifndef PA_PROFILE_OPS_H
#define PA_PROFILE_OPS_H

#include "../base/base.h"
#include "../record/event.h"

#define PA_PROFILE_OPS_VALUES 4

struct pa_profile_ops;
struct pa_sample;
struct pa_snapshot;
struct pa_stack;
struct pa_thread_info;
struct pa_goroutine_dump;

struct pa_profile_ops_type {
	const char *type, *unit; /* "alloc_space", "bytes" */
};

/* The text that debug=1 asks for, and debug=2 where it says so. */
enum pa_profile_ops_text {
	PA_PROFILE_OPS_NO_TEXT,
	PA_PROFILE_OPS_TEXT_HEAP, /* a negative debug asks for it as well, as in Go */
	PA_PROFILE_OPS_TEXT_BLOCK,
	PA_PROFILE_OPS_TEXT_MUTEX,
	PA_PROFILE_OPS_TEXT_COUNT,
	PA_PROFILE_OPS_TEXT_THREADS, /* as COUNT; debug=2: one block a sample */
};

/* Lost events: the last sample of a profile. */
struct pa_profile_ops_loss {
	uint64_t events;
	uint64_t amount;               /* the second value: ns, bytes */
	uint64_t in_use, in_use_bytes; /* the third and the fourth */
	bool sized;                    /* amounts are bytes, and their mean is the label of the
	                                  sample */
};

/* Argument of begin and end. */
union pa_profile_ops_argument {
	int64_t period_ns;                    /* begin of a CPU profile */
	int64_t end_ns;                       /* its end, CLOCK_MONOTONIC */
	const struct pa_goroutine_dump *dump; /* begin of goroutine */
};

typedef void pa_profile_ops_say_fn(void *arg, uint64_t count, const char *text);
typedef void pa_profile_ops_note_fn(void *arg, const char *text);

#define PA_PROFILE_OPS_EVENT(kind) (1u << (kind))

struct pa_profile_ops {
	const char *name;                /* in the URL: "heap"; "profile" for CPU */
	const char *description;         /* Go's text for the index; NULL: it is not in the index */
	const char *default_sample_type; /* NULL: none */
	uint32_t value_count;
	struct pa_profile_ops_type values[PA_PROFILE_OPS_VALUES];
	struct pa_profile_ops_type period_type;

	/* Presentation. */
	enum pa_profile_ops_text text;
	bool named;             /* served as /debug/pprof/NAME by the named-profile rules */
	bool has_seconds;       /* ?seconds=N: the changes during N seconds */
	bool has_delta_clients; /* served as /debug/pprof/delta_NAME too */
	bool trims;             /* ?gc=1: the allocator returns free memory first */
	bool scaled;            /* values are pairs of objects and bytes, sampled: to be scaled */
	uint32_t levels;        /* bit i: value i is a current level, not a sum since the start */

	/* Adds one event of a kind in events (PA_PROFILE_OPS_EVENT bits). stack: the event's, NULL
	 * for events without a stack. Collector, under PA_LOCK_TABLES. */
	uint32_t events;
	void (*add)(const struct pa_profile_ops *kind, const struct pa_event *event,
		const struct pa_stack *stack);

	/* For kinds that are recorded only between begin and end. begin returns 0 or -ENOMEM.
	 * Collector, under PA_LOCK_TABLES. */
	int (*begin)(const struct pa_profile_ops *kind, union pa_profile_ops_argument argument);
	void (*end)(const struct pa_profile_ops *kind);

	/*
	 * The kind's part of a snapshot. room: maximum number of samples. samples: writes them to
	 * out and returns their number; threads: room for as many, if has_threads. head: sets the
	 * fields that differ from the defaults (time: now, duration 0, period 1, fraction 0).
	 * Collector.
	 */
	bool has_threads;
	bool passing; /* its stacks may be those of stacks/passing_stacks.h */
	size_t (*room)(const struct pa_profile_ops *kind);
	size_t (*samples)(const struct pa_profile_ops *kind, struct pa_sample *out,
		struct pa_thread_info *threads);
	void (*head)(const struct pa_profile_ops *kind, struct pa_snapshot *snapshot,
		int64_t end_ns);
	struct pa_profile_ops_loss (*lost)(const struct pa_profile_ops *kind);

	/* Reports the losses of its tables, for the comments of all profiles. Collector. */
	void (*drops)(const struct pa_profile_ops *kind, pa_profile_ops_say_fn *say, void *arg);

	/* Further comments of this kind's profiles, before those of drops. Collector. */
	void (*notes)(const struct pa_profile_ops *kind, pa_profile_ops_note_fn *note, void *arg);

	/* In a forked child. kept: the tables are consistent; otherwise they are abandoned, and
	 * their memory leaks. */
	void (*atfork_child)(const struct pa_profile_ops *kind, bool kept);

	/* The agent's threads were suspended: ends a recording that was in progress, and keeps the
	 * tables. Under PA_LOCK_TABLES, while no thread of the agent runs. */
	void (*suspended)(const struct pa_profile_ops *kind);

	/* Takes a snapshot; returns NULL on failure. detail: with the kernel's data about each
	 * thread. If take is NULL, a snapshot is a copy of the table. Any of the agent's threads
	 * but the collector; takes PA_LOCK_TABLES. */
	struct pa_snapshot *(*take)(const struct pa_profile_ops *kind, bool detail);

	/* Number of records, for the index. Any of the agent's threads, and the program's through
	 * pprofagent.h (PA_API); may take PA_LOCK_TABLES. */
	size_t (*count)(const struct pa_profile_ops *kind);

	/* Adds (on) or removes a watch; the kind is recorded while it has one. sampled: at a rate
	 * that is cheap enough for minutes. NULL: always recorded. Any of the agent's threads. */
	void (*watch)(const struct pa_profile_ops *kind, bool sampled, bool on);

	/* For a family of kinds: member number index; NULL: no more members, or no memory. */
	const struct pa_profile_ops *(*member)(uint32_t index);
	uint32_t id; /* of a member of a family */
};

PA_INLINE void pa_profile_ops_watch(const struct pa_profile_ops *kind, bool sampled, bool on)
{
	if (kind->watch)
		kind->watch(kind, sampled, on);
}

/* Values and period of a profile that counts, in a unit of its own name. */
#define PA_PROFILE_OPS_COUNTS(type) \
	.value_count = 1, .values = { { (type), "count" } }, .period_type = { (type), "count" }

#endif

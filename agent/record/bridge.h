/*
 * The bridge: all that the two shared objects know of each other.
 *
 * libpprofagent.so (hooks, record) fills one struct pa_bridge and hands it to the one exported
 * function of libpprofagent-core.so (profile, proto, serve), pa_core_main, on the agent's own
 * thread. Nothing else crosses the wall: no symbol of the core is visible to the program, and the
 * core finds nothing of ours by name. The functions in the bridge may be called from PA_AGENT.
 */
#ifndef PA_BRIDGE_H
#define PA_BRIDGE_H

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "../base/atomic.h"
#include "../base/base.h"
#include "../base/env.h"
#include "../base/seat.h"
#include "custom.h"
#include "event.h"
#include "frames.h"
#include "labels.h"
#include "ring.h"
#include "rollcall.h"

/* Bumped when struct pa_bridge changes: the core refuses another one. */
#define PA_BRIDGE_VERSION 8

/*
 * What was seen and what was lost, by cause. Statistics only: relaxed, written in any context.
 * The X-macro is the one list; the texts are the agent page's and the profile comments'.
 */
#define PA_COUNTERS(X)                                                                            \
	X(alloc_events, "sampled allocations")                                                    \
	X(free_events, "frees of sampled objects")                                                \
	X(cpu_events, "CPU samples")                                                              \
	X(block_events, "sampled waits")                                                          \
	X(mutex_events, "sampled ends of contended critical sections")                            \
	X(create_events, "threads created")                                                       \
	X(roll_answers, "threads that wrote their stack when asked")                              \
	X(trace_events, "recorded events of execution traces")                                    \
	X(cold_stacks, "stacks finished off line")                                                \
	X(lost_alloc_ring, "allocations dropped: ring full")                                      \
	X(lost_alloc_live, "allocations dropped: live-object set full")                           \
	X(lost_free_ring, "frees dropped: ring full")                                             \
	X(lost_cpu_ring, "CPU ticks dropped: ring full")                                          \
	X(lost_cpu_thread, "CPU ticks dropped: thread without its own TLS")                       \
	X(lost_block_ring, "waits dropped: ring full")                                            \
	X(ns_of_lost_blocks, "ns of the waits dropped")                                           \
	X(lost_mutex_ring, "contended critical sections dropped: ring full")                      \
	X(ns_of_lost_mutexes, "ns waited for the critical sections dropped")                      \
	X(lost_waiters, "waiters not charged to an unlock: table of contended locks full")        \
	X(lost_create_ring, "creations of threads dropped: ring full")                            \
	X(lost_custom_ring, "values of the program's profiles dropped: ring full")                \
	X(lost_trace_ring, "events of execution traces dropped: ring full")                       \
	X(lost_reentrant, "events dropped: inside the agent's own work")                          \
	X(timers_failed, "threads without a CPU timer")                                           \
	X(broken_stacks, "stacks that end before their thread's start")                           \
	X(unreadable_stacks, "stacks that end where memory could not be read")                    \
	X(cut_stacks, "stacks cut at the depth limit")                                            \
	X(asides_late, "calls of the program that met a thread of ours which had to be gone")     \
	X(filters_late, "filters of system calls that met a call of ours on its way")             \
	X(unloads_unawaited, "libraries closed before all of their stacks had names")             \
	X(exit_files_failed, "files of the end of the program that could not be written")

struct pa_counters {
#define X(name, text) PA_ATOMIC(uint64_t) name;
	PA_COUNTERS(X)
#undef X
};

PA_INLINE void pa_counters_copy(struct pa_counters *to, const struct pa_counters *from)
{
#define X(name, text) pa_store_relaxed(&to->name, pa_load_relaxed(&from->name));
	PA_COUNTERS(X)
#undef X
}

/*
 * By its name, whether one of PA_COUNTERS counts events that profiles lack. Of the others some
 * count what was seen, and ns_of_lost_* are no events but how long the lost ones took.
 */
PA_INLINE bool pa_counter_is_loss(const char *name)
{
	return strncmp(name, "lost_", strlen("lost_")) == 0 || strcmp(name, "timers_failed") == 0;
}

/* One hooked symbol, for the agent page. */
struct pa_hook_status {
	const char *name;
	bool active;      /* the program's calls come through us */
	const char *why;  /* why it is not active, else NULL */
};

/* malloc and its kin as the core and its libraries get them. */
struct pa_real_memory {
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void (*free)(void *);
	int (*posix_memalign)(void **, size_t, size_t);
	void *(*aligned_alloc)(size_t, size_t);
};

struct pa_bridge {
	uint32_t version; /* PA_BRIDGE_VERSION */
	const struct pa_settings *settings;
	struct pa_ring *ring;
	struct pa_frames *frames; /* may be NULL: no memory for a cache */
	struct pa_counters *counters;
	struct pa_real_memory memory; /* of the agent's own: hooks/own_malloc.h */
	void *(*program_malloc)(size_t bytes); /* the allocator behind our hooks */
	int (*sigaction)(int, const struct sigaction *, struct sigaction *);
	int (*pthread_sigmask)(int, const sigset_t *, sigset_t *);

	/*
	 * Starts a detached thread of ours: role agent (hooks pass it through), all signals
	 * blocked, SCHED_OTHER, 1 MiB stack. It shares the descriptor table of its creator. 0 or
	 * -errno.
	 */
	int (*spawn)(void *(*run)(void *), void *arg, const char *name);

	/* As spawn, but with the semantics of pthread_create (for civetweb). */
	int (*thread_create)(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
		void *arg);

	/*
	 * CPU sampling on and off (record/tick.c). start: 0, -EBUSY (already on), -EADDRINUSE (the
	 * program has a handler for our signal); stop returns when no further CPU event will come.
	 */
	int (*tick_start)(unsigned rate_hz);
	void (*tick_stop)(void);

	/*
	 * Which contention is recorded (record/contend.c): block_rate_ns = mean ns of waiting for
	 * one recorded wait, mutex_fraction = one in so many contended critical sections; 1 = all,
	 * 0 = none. From any thread of ours; the caller takes turns.
	 */
	void (*contend_rates)(uint64_t block_rate_ns, uint64_t mutex_fraction);

	/* Are events of an execution trace recorded (record/tracing.c)? The caller takes turns. */
	void (*trace_switch)(bool on);

	/* Rollcalls: see rollcall.h. The caller takes turns. */
	int (*roll_begin)(struct pa_roll *roll);
	int (*roll_call)(struct pa_roll *roll);

	/* The core has filled api below. */
	void (*core_is_ready)(void);

	/* Labels and the program's own profiles, by the ids that events carry. */
	const struct pa_labels *(*labels)(uint32_t id);
	struct pa_custom *(*custom)(uint32_t id);
	uint32_t (*custom_total)(void);

	/* Where libpprofagent.so has its code: its frames are cut from the stacks of a rollcall. */
	uintptr_t text_lo, text_hi;

	/*
	 * Stand around every call that takes a lock of the loader or of libc's name service (dlsym,
	 * dladdr, getaddrinfo): fork waits for it, since a child whose loader's lock is held by a
	 * thread that it does not have could never open a library again.
	 */
	void (*loader_enter)(void);
	void (*loader_leave)(void);

	/* The hooked symbols and whether the program's calls reach us. */
	size_t (*hook_status)(struct pa_hook_status *out, size_t max);

	/* True when a thread of the agent: not to be shown in profiles. */
	bool (*is_agent_thread)(int32_t tid);

	/* Waits for threads of ours that are just being started: nobody knows them yet. */
	void (*await_agent_threads)(int64_t timeout_ns);

	/* Where the agent's threads sit, and the calling thread's seat: for pa_seat_boot. */
	struct pa_seat_table *seats;
	struct pa_seat *(*seat)(void);

	/* Bytes mapped by libpprofagent.so itself. */
	size_t (*memory_bytes)(void);

	bool cpu_from_start; /* a CPU profile is to be taken until the process ends */
	bool files_private; /* the agent's threads have a descriptor table of their own */
	bool forked;        /* this process was forked from one with the agent */
	bool returned;      /* our threads were away, see aside.h: some state is left of theirs */
	struct pa_counters inherited; /* counters when this process was forked */
	/* libpprofagent.so's own, in the page that a forked child writes: see lag.h */
	bool core_lags, core_held;
	/* CLOCK_MONOTONIC: no port before. Children wait, so that the sed of a script never has one
	 * and a parent that is starting itself comes first. */
	int64_t serve_from_ns;
	int64_t start_wall_ns;
	int64_t start_mono_ns;

	/*
	 * Filled by the core before it starts to work, called on the program's threads for
	 * pprofagent.h and for the files that are written at exit. PA_APP: may wait for the agent.
	 */
	struct {
		/* The profile of that name through write (false: stop). debug as in the URL. 0,
		 * -EINVAL: no such profile, -ECANCELED, -ENOMEM, -ETIMEDOUT. */
		int (*write)(const char *name, int64_t debug,
			bool (*write)(void *arg, const void *bytes, size_t count), void *arg);
		/* As pa_snapshot_cpu_start at the rate of the settings. */
		int (*cpu_start)(void);
		/* Ends what cpu_start began, and writes it. */
		int (*cpu_stop)(bool (*write)(void *arg, const void *bytes, size_t count),
			void *arg);
		/* Number of records of the profile as on the index page; -1: no such profile. */
		int64_t (*count)(const char *name);
		/* The program ends: has a trace that is being taken end, and waits for that. */
		void (*trace_hurry)(int64_t timeout_ns);
		/* The rates in the settings have changed. */
		void (*rates_changed)(void);
	} api;

	/* Filled by the core before it starts to work. PA_AGENT: our threads are about to leave the
	 * files that they know for the program's root; opens what they will need. */
	void (*jailed)(void);

	/* Filled by the core before it starts to work. PA_AGENT: all of our threads but the calling
	 * one are gone, in the middle of what they were at; tables stay. */
	void (*aside)(void);

	/* Filled by the core before it starts to work; called by agent.c around fork. */
	struct {
		/* PA_APP. Holds the tables still, waits timeout_ns at most; false: not held. */
		bool (*prepare)(int64_t timeout_ns);
		/* PA_APP, only after prepare said true. */
		void (*parent)(void);
		/* PA_AGENT, in the child, before pa_core_main is called again; the parent's threads
		 * are gone. held = what prepare said; false: the tables are dropped. */
		void (*child)(bool held);
	} atfork;
};

/*
 * The core's entry: runs the collector on the calling thread and starts the others. Returns only
 * when it cannot work at all (0 is never returned; -errno after it said why). In a forked child it
 * is called again on a new thread, after atfork.child.
 */
PA_AGENT int pa_core_main(struct pa_bridge *bridge);
#define PA_CORE_ENTRY "pa_core_main"

#endif

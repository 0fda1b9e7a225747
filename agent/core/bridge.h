/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridge: the complete interface between the two shared objects.
 *
 * libpprofagent.so (hooks, record) fills one struct pa_bridge and passes it to pa_core_main, the
 * only exported function of libpprofagent-core.so, on the agent's own thread. There is no other
 * link: no symbol of the core is visible to the program, and the core looks up no symbol of
 * libpprofagent.so. The functions in the bridge are PA_AGENT unless stated otherwise.
 * libpprofagent.so owns the struct, which lives as long as the process.
 *
 * Context: pa_core_main on the agent's first thread; the functions as above. No lock of its own.
 */
#ifndef PA_BRIDGE_H
#define PA_BRIDGE_H

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "../base/atomic.h"
#include "../base/base.h"
#include "../base/env.h"
#include "../base/own_maps.h"
#include "../base/thread_slot.h"
#include "../record/alloc_counts.h"
#include "../record/calls.h"
#include "../record/copy_size.h"
#include "../record/counters.h"
#include "../record/custom_set.h"
#include "../record/event.h"
#include "../record/frame_cache.h"
#include "../record/inner_alloc.h"
#include "../record/labels.h"
#include "../record/ring.h"
#include "../record/thread_dump.h"
#include "../record/unwind_tables.h"

/* Incremented when struct pa_bridge changes: the core rejects another version. */
#define PA_BRIDGE_VERSION 17

#define PA_BRIDGE_ANCESTORS 4

/* One hooked symbol, for the agent page. */
struct pa_hook_status {
	const char *name;
	bool active;     /* calls of the program reach the hook */
	const char *why; /* why it is not active, else NULL */
};

/* malloc and its family for the core and its libraries. */
struct pa_bridge_malloc {
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
	struct pa_frame_cache *frames;        /* may be NULL: no memory for a cache */
	struct pa_alloc_counts *alloc_counts; /* NULL unless the heap rate is 1 */
	struct pa_counters *counters;
	struct pa_copy_size_pair *copy_sizes;
	PA_ATOMIC(uint32_t) *held_files; /* files that the core keeps open; see switches.h */
	struct pa_unwind_tables *unwind_tables;
	struct pa_bridge_malloc memory;        /* the agent's own allocator: hooks/own_malloc.h */
	void *(*program_malloc)(size_t bytes); /* the allocator behind the hooks */
	const struct pa_inner_alloc_ops *inner_alloc; /* what hooks of other allocators call */
	int (*sigaction)(int, const struct sigaction *, struct sigaction *);
	int (*pthread_sigmask)(int, const sigset_t *, sigset_t *);
	int (*read_clock)(clockid_t id, struct timespec *now); /* pa_clock_read */

	/*
	 * Starts a detached agent thread: role agent (hooks pass it through), all signals blocked,
	 * SCHED_OTHER, 1 MiB stack. It shares the descriptor table of its creator. 0 or -errno.
	 */
	int (*spawn)(void *(*run)(void *), void *arg, const char *name);

	/* To add to the stack size of a thread: its copy of the program's static TLS. */
	size_t tls_bytes;

	/* As spawn, but with the semantics of pthread_create (for civetweb). Sets the stack in
	 * attr. thread_joined: after pthread_join. */
	int (*thread_create)(pthread_t *thread, pthread_attr_t *attr, void *(*run)(void *),
		void *arg);
	void (*thread_joined)(pthread_t thread);

	/*
	 * CPU sampling on and off (record/tick.c). start: 0, -EBUSY (already on), -EADDRINUSE (the
	 * program has a handler for the agent's signal); stop returns after the last CPU event.
	 */
	int (*tick_start)(unsigned rate_hz);
	void (*tick_stop)(void);
	void (*tick_charge)(void);

	/*
	 * Contention recording (record/lock_waits.c): block_rate_ns = mean ns of waiting per
	 * recorded wait, mutex_fraction = one in so many contended critical sections; 1 = all, 0 =
	 * none. From any agent thread; the caller serializes calls.
	 */
	void (*contend_rates)(uint64_t block_rate_ns, uint64_t mutex_fraction);

	/* Turns recording of execution trace events on or off (record/trace_events.c). The caller
	 * serializes calls. */
	void (*trace_switch)(bool on);

	/* Thread dumps: see thread_dump.h. The caller serializes calls. */
	int (*dump_begin)(struct pa_thread_dump *dump);
	int (*dump_call)(struct pa_thread_dump *dump);

	/* Call after api below is filled. */
	void (*core_is_ready)(void);

	/* Labels and user-defined profiles, by the ids in events. */
	const struct pa_labels *(*labels)(uint32_t id);
	struct pa_custom_set *(*custom)(uint32_t id);
	uint32_t (*custom_total)(void);

	/* Code range of libpprofagent.so: its frames are removed from the stacks of a thread
	 * dump. */
	uintptr_t text_lo, text_hi;

	/*
	 * Brackets each call that takes a lock of the loader or of libc's name service (dlsym,
	 * dladdr, getaddrinfo). fork waits for it: in a child of a process whose loader lock is
	 * held by another thread, no library could be opened any more.
	 */
	void (*loader_enter)(void);
	void (*loader_leave)(void);

	/* The hooked symbols, and whether the program's calls reach the hooks. */
	size_t (*hook_status)(struct pa_hook_status *out, size_t max);

	/* True for a thread of the agent, which profiles do not show. */
	bool (*is_agent_thread)(int32_t tid);

	/* False: seccomp filters deny the calling thread some of these calls (enum pa_calls). */
	bool (*may)(uint32_t calls);

	/* The agent listens on this unix socket: its file is removed when the program ends, and the
	 * one before is now. NULL: none any more. */
	void (*keep_socket_file)(const char *path);

	/* To be called by the reader of the ring after each wait: pa_signal_learn_if_asked. */
	void (*after_wait)(void);

	/* Waits for agent threads that are being started and have not registered yet. */
	void (*await_agent_threads)(int64_t timeout_ns);

	/* The slots of the agent's threads, and the calling thread's slot: for
	 * pa_thread_slot_boot. */
	struct pa_thread_slot_table *slots;
	struct pa_thread_slot *(*slot)(void);

	/* The table of large mappings of both shared objects. */
	struct pa_own_maps *own_maps;

	/* Bytes mapped by libpprofagent.so itself. */
	size_t (*memory_bytes)(void);

	bool cpu_from_start; /* take a CPU profile until the process ends */
	bool files_private;  /* the agent's threads have a descriptor table of their own */
	bool forked;         /* this process was forked from one with the agent */
	pid_t parent;        /* if forked: that process; it may have ended */
	/* The processes that it was forked from, the nearest first; pid 0: no more are known. */
	struct pa_bridge_ancestor {
		pid_t pid;             /* as it saw itself */
		int64_t start_wall_ns; /* when the agent started in it */
	} ancestors[PA_BRIDGE_ANCESTORS];
	bool returned; /* the agent's threads were suspended (suspend.h): some of their state
		        * remains */
	struct pa_counters inherited; /* counters at the time of the fork */
	/* of libpprofagent.so, in the page that a forked child writes: see child_core.h */
	bool core_unsettled, core_locked;
	/* CLOCK_MONOTONIC: open no port before. Children wait, so that short-lived ones (the sed of
	 * a script) open none, and a parent that is starting itself comes first. */
	int64_t serve_from_ns;
	int64_t start_wall_ns;
	int64_t start_mono_ns;

	/*
	 * Filled by the core before it starts its threads; called on the program's threads for
	 * pprofagent.h and for the files written at exit. PA_APP: may wait for the agent.
	 */
	struct {
		/* Writes the profile of that name through write (false: stop). debug as in the URL.
		 * 0, -EINVAL: no such profile, -ECANCELED, -ENOMEM, -ETIMEDOUT. */
		int (*write)(const char *name, int64_t debug,
			bool (*write)(void *arg, const void *bytes, size_t count), void *arg);
		/* As pa_cpu_start, at the configured rate. */
		int (*cpu_start)(void);
		/* Ends the profile of cpu_start, and writes it. */
		int (*cpu_stop)(bool (*write)(void *arg, const void *bytes, size_t count),
			void *arg);
		/* Number of records of the profile as on the index page; -1: no such profile. */
		int64_t (*count)(const char *name);
		/* When the program ends: ends a running trace, and waits for its end. */
		void (*trace_finish)(int64_t timeout_ns);
		/* The rates in the settings have changed. */
		void (*rates_changed)(void);
	} api;

	/* Filled by the core before it starts its threads. PA_AGENT: the agent's threads are about
	 * to change their root directory (chroot(2)); opens the files that they will need. */
	void (*jailed)(void);

	/* Filled by the core before it starts its threads. PA_AGENT: all agent threads but the
	 * calling one have ended in the middle of their work; tables remain. */
	void (*settle)(void);

	/* Filled by the core before it starts its threads; called by agent.c around fork. */
	struct {
		/* PA_APP. Locks the tables, waits timeout_ns at most; false: not locked. */
		bool (*prepare)(int64_t timeout_ns);
		/* PA_APP, only after prepare returned true. */
		void (*parent)(void);
		/* PA_AGENT, in the child, before pa_core_main is called again; the parent's threads
		 * do not exist. held = result of prepare; false: the tables are dropped. */
		void (*child)(bool held);
	} atfork;
};

/*
 * The core's entry point: runs the collector on the calling thread and starts the other threads.
 * Returns only when the core cannot work: -errno, after a message; never 0. In a forked child it is
 * called again on a new thread, after atfork.child.
 */
PA_AGENT int pa_core_main(struct pa_bridge *bridge);
#define PA_BRIDGE_ENTRY "pa_core_main"

#endif

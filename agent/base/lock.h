/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks of the agent's threads. Context: PA_AGENT and PA_API; PA_APP only in the fork handlers,
 * with a bounded wait. Hooks take none.
 *
 * A lock is one process-private futex word and no pthread mutex: a forked child must be able to
 * reset all of them, whatever their state. Not recursive, not fair.
 *
 * Order: a thread that holds a lock takes only locks further down in enum pa_lock_rank; debug
 * builds (PA_DEBUG) assert it.
 */
#ifndef PA_LOCK_H
#define PA_LOCK_H

#include "assert.h"
#include "atomic.h"
#include "base.h"

enum pa_lock_rank {
	PA_LOCK_LOAD,      /* agent.c: calls into the loader (whose own lock is held meanwhile) */
	PA_LOCK_GUESSES,   /* serve/token_guesses.c: wrong tokens */
	PA_LOCK_PROCESSES, /* serve/process_tree.c: the list of processes */
	PA_LOCK_PORT, /* serve/waiting_requests.c, serve/linger.c: connections handed to the gate */
	PA_LOCK_COLLECT,     /* serve/render_thread.c: the queue of render jobs */
	PA_LOCK_QUEUE_CLOCK, /* serve/queue_clock.c: the clock of that queue */
	PA_LOCK_CLIENTS,     /* serve/delta_clients.c: delta clients */
	PA_LOCK_DUMP,        /* profile/goroutine.c: thread dumps, one at a time */
	PA_LOCK_RATES,       /* profile/recording.c: what is recorded, one change at a time */
	PA_LOCK_HOOKS, /* profile/allocator_hooks.c: hooks of an allocator, one change at a time */
	PA_LOCK_ALLOCATORS, /* profile/allocators.c: looking for allocators */
	PA_LOCK_TABLES,     /* profile/: all tables of the collector; the fork handlers take it */
	PA_LOCK_FILES,      /* modules/held_files.c: files of libraries kept open */
	PA_LOCK_CPU,        /* profile/cpu.c: which profiles want ticks */
	PA_LOCK_CONFIG,     /* record/tick.c: start and stop of CPU ticks */
	PA_LOCK_SIGNAL,     /* record/signal.c: the signal's disposition */
	PA_LOCK_LABELS,     /* record/labels.c: new label sets; the program may wait for it */
	PA_LOCK_CUSTOM, /* record/custom_set.c: values of a shard, names; the program may wait */
	PA_LOCK_MEMORY, /* record/own_memory.c: blocks of agent threads */
	PA_LOCK_RANKS
};

struct pa_lock {
	PA_ATOMIC(uint32_t) word; /* 0 free, 1 held, 2 held with waiters; acquire/release */
	enum pa_lock_rank rank;
};

#define PA_LOCK_INIT(r)                \
	{                              \
		.word = 0, .rank = (r) \
	}

PA_API void pa_lock(struct pa_lock *lock);
PA_APP void pa_unlock(struct pa_lock *lock);

/* True when the lock was taken within timeout_ns. */
PA_APP bool pa_lock_timed(struct pa_lock *lock, int64_t timeout_ns);

/* Asserts that the calling thread holds a lock of that rank. Of one that no thread has locked yet
 * nothing is known, as in unit tests of a single table. */
#ifdef PA_DEBUG
PA_SIGNAL bool pa_lock_is_held(enum pa_lock_rank rank);
#define PA_ASSERT_HELD(rank) PA_ASSERT(pa_lock_is_held(rank))
#else
#define PA_ASSERT_HELD(rank) ((void)(rank))
#endif

/* In a forked child: the holder does not exist. */
PA_BOOT void pa_lock_reset(struct pa_lock *lock);

/*
 * Bare futex words for hand-over between threads.
 * pa_futex_wait returns when *word != expected, on a wake, after timeout_ns (< 0: no limit) or
 * spuriously: the caller checks again. errno kept.
 */
PA_APP void pa_futex_wait(PA_ATOMIC(uint32_t) *word, uint32_t expected, int64_t timeout_ns);
PA_SIGNAL void pa_futex_wake(PA_ATOMIC(uint32_t) *word, int how_many);

/* Sleeps for ns by a futex wait: no function that is hooked, and no system call that a program may
 * deny itself. errno kept. */
PA_APP void pa_futex_sleep(int64_t ns);

#endif

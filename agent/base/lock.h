/*
 * Locks of the agent's own side. Context: PA_AGENT, and PA_APP only in the fork handlers, with a
 * bounded wait, and in what the program itself calls (pprofagent.h). Hooks never take one.
 *
 * A lock is one futex word, private to the process: no pthread mutex, since a forked child must be
 * able to declare all of them free whatever their state was. Not recursive, not fair.
 *
 * Order: a thread that holds a lock takes only locks that stand further down in enum pa_lock_rank;
 * debug builds (PA_DEBUG) assert it.
 */
#ifndef PA_LOCK_H
#define PA_LOCK_H

#include "atomic.h"
#include "base.h"

enum pa_lock_rank {
	PA_LOCK_LOAD,    /* agent.c: the loader works for us (its own lock is held meanwhile) */
	PA_LOCK_GUESSES, /* serve/guesses.c: wrong tokens */
	PA_LOCK_COLLECT, /* serve/collect.c: the queue of render jobs */
	PA_LOCK_ROLL,    /* profile/: rollcalls and the switching of contention, one at a time */
	PA_LOCK_TABLES,  /* profile/: all tables of the collector; the one that fork takes */
	PA_LOCK_CONFIG,  /* record/tick.c: start and stop of CPU ticks */
	PA_LOCK_SIGNAL,  /* record/signal.c: the signal's disposition */
	PA_LOCK_LABELS,  /* record/labels.c: new sets of labels; the program waits for it */
	PA_LOCK_CUSTOM,  /* record/custom.c: values of a shard, or names; the program waits */
	PA_LOCK_MEMORY,  /* record/own_memory.c: blocks of our threads */
	PA_LOCK_RANKS
};

struct pa_lock {
	PA_ATOMIC(uint32_t) word; /* 0 free, 1 held, 2 held and somebody waits; acquire/release */
	enum pa_lock_rank rank;
};

#define PA_LOCK_INIT(r) { .word = 0, .rank = (r) }

PA_AGENT void pa_lock(struct pa_lock *lock);
PA_AGENT void pa_unlock(struct pa_lock *lock);

/* True when the lock was taken within timeout_ns. */
PA_APP bool pa_lock_timed(struct pa_lock *lock, int64_t timeout_ns);

/* In a forked child: the holder is gone. */
PA_BOOT void pa_lock_reset(struct pa_lock *lock);

/*
 * Bare futex words for hand-over between threads.
 * pa_futex_wait returns when *word != expected, after a wake, after timeout_ns (< 0: no limit) or
 * spuriously: the caller checks again. errno kept.
 */
PA_APP void pa_futex_wait(PA_ATOMIC(uint32_t) *word, uint32_t expected, int64_t timeout_ns);
PA_SIGNAL void pa_futex_wake(PA_ATOMIC(uint32_t) *word, int how_many);

/* Sleeps, by no function that is hooked or that a program may refuse itself. errno kept. */
PA_APP void pa_futex_rest(int64_t ns);

#endif

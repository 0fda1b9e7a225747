/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contention: waits for locks and other objects, and the critical sections that caused them.
 *
 * A hook that is about to block calls begin, the real function, and end: the block profile, sampled
 * as in Go (a wait of ns >= rate is kept, a shorter one with probability ns / rate, and then
 * represents rate / ns waits).
 *
 * A table maps the address of a lock to (number of waiters, sum of their start times). An unlock
 * reads one word; when there are waiters, it takes n * now - sum off, which restarts their clocks,
 * and is charged with that time: 1 s held with 5 waiters is 5 s at the unlock. A waiter that gives
 * up leaves its time to be charged. This is the mutex profile, one in mutex_fraction events, scaled
 * up.
 *
 * Context: PA_APP; no lock, no loop that waits for another thread. The table is in pages that the
 * kernel wipes in a forked child (MADV_WIPEONFORK), as the switches: no waiter exists there.
 * When full: a waiter without a slot is counted in lost_waiters, and its wait is in the block
 * profile only. An event without room in the ring is counted with its time.
 */
#ifndef PA_LOCK_WAITS_H
#define PA_LOCK_WAITS_H

#include "switches.h"
#include "../arch/arch.h"
#include "thread.h"

enum pa_wait_kind {
	PA_WAIT_NONE,
	PA_WAIT_MUTEX,
	PA_WAIT_RDLOCK,
	PA_WAIT_WRLOCK,
	PA_WAIT_SPIN, /* up to here: kinds that have a holder, and a slot in the table */
	PA_WAIT_COND,
	PA_WAIT_SEM,
	PA_WAIT_BARRIER,
	PA_WAIT_JOIN,
	PA_WAIT_FUTEX,    /* by syscall(): its stack tells whether for a lock */
	PA_WAIT_FUTEX_PI, /* FUTEX_LOCK_PI: surely for one */
	PA_WAIT_KINDS
};

/* Outcome of a wait. */
enum pa_wait_end {
	PA_WAIT_GOT,     /* the object */
	PA_WAIT_GAVE_UP, /* timeout, or a signal */
	PA_WAIT_REFUSED  /* an error: it did not wait */
};

/* Sets the rates, as contend_rates in bridge.h. */
PA_APP void pa_lock_waits_rates(uint64_t block_rate_ns, uint64_t mutex_fraction);

PA_INLINE bool pa_lock_waits_is_on(void)
{
	return pa_load_relaxed(&pa_switches->contend);
}

/*
 * The calling hook is about to wait for object. frame: an address in its frame. False: do not
 * record this wait (off, the agent's own, inside another wait); do not call end then. errno kept.
 */
PA_APP bool pa_lock_waits_begin(struct pa_thread *thread, enum pa_wait_kind kind,
	const void *object, uintptr_t frame);

/*
 * The same for a wait of one of the futex kinds, by the address of the word. For a mutex profile
 * the innermost PA_WAITER_DEPTH frames of the caller become an event, before the waiter is visible
 * in the table.
 */
#define PA_WAITER_DEPTH 16
PA_APP bool pa_lock_waits_begin_futex(struct pa_thread *thread, enum pa_wait_kind kind,
	const void *word, uintptr_t frame, struct pa_cursor caller);

/* Ends the wait that began in that frame; caller: of the hook. errno kept. */
PA_APP void pa_lock_waits_end(struct pa_thread *thread, uintptr_t frame, enum pa_wait_end end,
	struct pa_cursor caller);

/* When the thread ends, possibly in the middle of a wait. */
PA_APP void pa_lock_waits_thread_end(struct pa_thread *thread);

/* ---- the holder's side ---- */

#define PA_LOCK_WAITS_BUCKETS 1024u
#define PA_LOCK_WAITS_SLOTS 4

/*
 * One contended lock. key and sum change together: key is 0 in a free slot, else the lock's address
 * << 16 | number of waiters. Without waiters sum is the negated time left by waiters that gave up.
 */
struct pa_lock_waits_slot {
	struct pa_pair pair;
};

struct pa_lock_waits_bucket {
	PA_ATOMIC(uint32_t) used; /* slots in use, or about to be; relaxed: a hint */
	struct pa_lock_waits_slot slots[PA_LOCK_WAITS_SLOTS];
	PA_ATOMIC(int64_t) restarted_ns[PA_LOCK_WAITS_SLOTS]; /* per slot: time of the last
							       * charge */
} __attribute__((aligned(128)));

extern struct pa_lock_waits_bucket pa_lock_waits_table[PA_LOCK_WAITS_BUCKETS] PA_HIDDEN;

PA_INLINE struct pa_lock_waits_bucket *pa_lock_waits_bucket_of(const void *lock)
{
	uint64_t hash = (uintptr_t)lock * 0x9e3779b97f4a7c15u;
	return &pa_lock_waits_table[hash >> 54];
}

/* False: the lock has no waiters. 1 multiplication, 1 load. */
PA_INLINE bool pa_lock_waits_is_waited(const void *lock)
{
	return pa_load_relaxed(&pa_lock_waits_bucket_of(lock)->used) != 0;
}

/*
 * Before the unlock: takes the waiters' time so far in ns, 0 without waiters. Before, so that the
 * next owner finds its clock restarted.
 */
PA_APP uint64_t pa_lock_waits_take(const void *lock);

/* After the unlock: charges taken_ns of pa_lock_waits_take to the caller. errno kept. */
PA_APP void pa_lock_waits_charge(struct pa_thread *thread, const void *lock, uint64_t taken_ns,
	struct pa_cursor caller);

/*
 * A futex word in the table: not the address itself, at which a lock of libc may be that makes its
 * calls by syscall(), inside a hook that counts the same waiters.
 */
PA_INLINE const void *pa_lock_waits_futex(const void *word)
{
	return (const char *)word + 1;
}

/* As pa_lock_waits_charge for waiters that are no PA_WAIT_FUTEX_PI: whether the word is a lock's is
 * known later, from the stacks of the threads that waited for it. */
PA_APP void pa_lock_waits_charge_futex(struct pa_thread *thread, const void *word,
	uint64_t taken_ns, struct pa_cursor caller);

/* The lock was not released after all: the remaining waiters get the time that was taken. */
PA_APP void pa_lock_waits_give_back(const void *lock, uint64_t taken_ns);

#endif

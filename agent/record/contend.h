/*
 * Contention: who waits for what, and whose critical section it was.
 *
 * A hook that would block tells begin, calls the real function, and tells end: that is the block
 * profile, sampled as Go does it (a wait of ns >= rate is kept, a shorter one with probability
 * ns / rate and then stands for rate / ns waits).
 *
 * Waiters for locks stand in a table by the lock's address as (number, sum of their start times).
 * Who gives a lock up looks at one word; when somebody waits, it takes n * now - sum off (their
 * clocks start again) and is charged that: 1 s held with 5 waiters are 5 s at the unlock. Who gave
 * up waiting leaves its time to be charged. That is the mutex profile, one in mutex_fraction
 * events, scaled up.
 *
 * Context: PA_APP; no lock, no loop that waits for another thread. The table lies in pages that the
 * kernel wipes in a child, as it does the switches: nobody waits there.
 * When full: a waiter that finds no place is counted in lost_waiters, and its wait is in the block
 * profile only. An event that finds no room in the ring is counted with its time.
 */
#ifndef PA_CONTEND_H
#define PA_CONTEND_H

#include "on.h"
#include "regs.h"
#include "thread.h"

enum pa_wait_kind {
	PA_WAIT_NONE,
	PA_WAIT_MUTEX,
	PA_WAIT_RDLOCK,
	PA_WAIT_WRLOCK,
	PA_WAIT_SPIN, /* so far: has a holder, and a place in the table */
	PA_WAIT_COND,
	PA_WAIT_SEM,
	PA_WAIT_BARRIER,
	PA_WAIT_JOIN,
	PA_WAIT_KINDS
};

/* How a wait ended. */
enum pa_wait_end {
	PA_WAIT_GOT,     /* what it waited for */
	PA_WAIT_GAVE_UP, /* time was up, or a signal came */
	PA_WAIT_REFUSED  /* an error: there was no wait */
};

/* The switches, as contend_rates in bridge.h. */
PA_BOOT bool pa_contend_boot(void);
PA_AGENT void pa_contend_rates(uint64_t block_rate_ns, uint64_t mutex_fraction);

PA_INLINE bool pa_contend_is_on(void)
{
	return pa_load_relaxed(&pa_on->contend);
}

/*
 * The calling hook is about to wait for object. frame: an address in its frame. False: this wait is
 * nobody's business (off, our own work, inside another wait); then no end. errno kept.
 */
PA_APP bool pa_contend_begin(struct pa_thread *thread, enum pa_wait_kind kind, const void *object,
	uintptr_t frame);

/* The wait that began in that frame is over; caller: of the hook. errno kept. */
PA_APP void pa_contend_end(struct pa_thread *thread, uintptr_t frame, enum pa_wait_end end,
	struct pa_cursor caller);

/* The thread ends, perhaps out of the middle of a wait. */
PA_APP void pa_contend_thread_end(struct pa_thread *thread);

/* ---- the holder's side ---- */

#define PA_CONTEND_BUCKETS 1024u
#define PA_CONTEND_SLOTS 4

/*
 * One contended lock. key and sum change together: key is 0 for a free slot, else the lock's
 * address << 16 | number of waiters. With no waiters left, sum is what those who gave up are owed,
 * negated.
 */
struct pa_contend_slot {
	struct pa_pair pair;
};

struct pa_contend_bucket {
	PA_ATOMIC(uint32_t) used; /* slots in use, or about to be; relaxed: a hint */
	struct pa_contend_slot slots[PA_CONTEND_SLOTS];
	PA_ATOMIC(int64_t) restarted_ns[PA_CONTEND_SLOTS]; /* of the slot: the last charge */
} __attribute__((aligned(128)));

extern struct pa_contend_bucket pa_contend_table[PA_CONTEND_BUCKETS] PA_HIDDEN;

PA_INLINE struct pa_contend_bucket *pa_contend_bucket_of(const void *lock)
{
	uint64_t hash = (uintptr_t)lock * 0x9e3779b97f4a7c15u;
	return &pa_contend_table[hash >> 54];
}

/* False: surely nobody waits for the lock. 1 multiplication, 1 load. */
PA_INLINE bool pa_contend_is_waited(const void *lock)
{
	return pa_load_relaxed(&pa_contend_bucket_of(lock)->used) != 0;
}

/*
 * The lock is about to be given up: the waiters' time so far in ns, 0 when nobody waits. Before the
 * release, so that who gets the lock next finds its clock restarted.
 */
PA_APP uint64_t pa_contend_take(const void *lock);

/* The lock was given up by the caller; taken_ns of pa_contend_take is its to answer for. errno
 * kept. */
PA_APP void pa_contend_charge(struct pa_thread *thread, const void *lock, uint64_t taken_ns,
	struct pa_cursor caller);

#endif

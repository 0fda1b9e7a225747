/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A word that threads wait on until another one changes it. A change without a waiter costs no
 * system call.
 *
 * The waiting side reads pa_wake_word_seen, then looks at what it waits for, and then waits with
 * that value; the other side changes it, and then calls pa_wake_word_bump. A thread that ends in
 * its wait stays counted as a waiter, which costs system calls and nothing else.
 */
#ifndef PA_WAKE_WORD_H
#define PA_WAKE_WORD_H

#include "atomic.h"
#include "base.h"

struct pa_wake_word {
	PA_ATOMIC(uint32_t) changes; /* futex; acq_rel by bump, acquire in seen */
	PA_ATOMIC(uint32_t) waiters; /* relaxed: ordered by full fences */
};

PA_INLINE uint32_t pa_wake_word_seen(const struct pa_wake_word *word)
{
	return pa_load_acquire(&word->changes);
}

/* Wakes all waiters. */
PA_APP void pa_wake_word_bump(struct pa_wake_word *word);

/* Wakes one at least, of waiters that are all the same. */
PA_APP void pa_wake_word_bump_one(struct pa_wake_word *word);

/* Returns when there was a bump since seen, after timeout_ns (< 0: no limit) or spuriously. */
PA_APP void pa_wake_word_wait(struct pa_wake_word *word, uint32_t seen, int64_t timeout_ns);

#endif

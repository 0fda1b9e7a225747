/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of each futex word the stack of its last waiter: by it, later, the names tell whether those that
 * woke it gave up a lock.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES. Memory: 64 KiB of zeros, by pages as
 * they are used.
 * When full: one of the four words that share a place is forgotten, and the wakes of its waiters
 * are counted as unknown (contention.h).
 */
#ifndef PA_FUTEX_WAITERS_H
#define PA_FUTEX_WAITERS_H

#include "../stacks/stack_table.h"

#define PA_FUTEX_WAITERS_WORDS 4096u

PA_AGENT void pa_futex_waiters_put(uintptr_t word, const struct pa_stack *stack);

/* NULL: not known. */
PA_AGENT const struct pa_stack *pa_futex_waiters_find(uintptr_t word);

/* In a forked child: nothing waits. */
PA_BOOT void pa_futex_waiters_atfork_child(void);

#endif

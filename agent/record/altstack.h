/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alternate signal stacks of the program's threads: checks that each belongs to one thread and is
 * still mapped.
 *
 * The agent's handler runs on the alternate stack of the interrupted thread. That is safe only
 * while no other thread uses the same memory (varnishd gives one stack to all its threads) and the
 * memory is mapped. SA_ONSTACK belongs to the disposition and not to the thread: when either check
 * fails, the handler stops using alternate stacks in the whole process and runs on the current
 * stack of each thread, as in a thread without an alternate stack.
 *
 * Context: as marked. One latch guards the table; a place belongs to its thread until the thread
 * changes its stack or ends. When the table is full, the handler stops using alternate stacks too.
 */
#ifndef PA_ALTSTACK_H
#define PA_ALTSTACK_H

#include <signal.h>
#include <ucontext.h>

#include "thread.h"

/* Before the sigaltstack(2) call of the calling thread. errno kept. */
PA_SIGNAL void pa_altstack_set(struct pa_thread *self, const stack_t *stack);

/* In the agent's handler: registers a stack that a raw system call has set. */
PA_SIGNAL void pa_altstack_check(const ucontext_t *context);

/* Before the program unmaps [lo, hi) or makes it read-only. errno kept. */
PA_SIGNAL void pa_altstack_unmapped(uintptr_t lo, uintptr_t hi);

/* In a forked child: only the calling thread exists. */
PA_BOOT void pa_altstack_atfork_child(void);

#endif

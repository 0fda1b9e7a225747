/*
 * Alternate signal stacks of the program's threads: is each of them one thread's own, and there?
 *
 * Our handler runs on the alternate stack of the thread that it comes to. That is right only while
 * no other thread has the same memory for it (varnishd gives one to all of its threads), and while
 * the memory is there. SA_ONSTACK belongs to the disposition and not to the thread: where one of
 * both is not so, our handler leaves alternate stacks alone in the whole process from then on, and
 * runs on the stack that the thread is on, as where there is none.
 *
 * Context: as marked. The table has one latch; a place is its thread's until the thread says
 * otherwise, or is gone. When it is full, alternate stacks are left alone as well.
 */
#ifndef PA_ALTSTACK_H
#define PA_ALTSTACK_H

#include <signal.h>
#include <ucontext.h>

#include "thread.h"

/* The calling thread is about to have that alternate stack; before the system call. errno kept. */
PA_SIGNAL void pa_altstack_set(struct pa_thread *self, const stack_t *stack);

/* The same, in our handler: the thread may have it from a system call of its own. */
PA_SIGNAL void pa_altstack_see(const ucontext_t *context);

/* The program takes that memory away, or makes it unwritable. errno kept. */
PA_SIGNAL void pa_altstack_gone(uintptr_t lo, uintptr_t hi);

/* In a forked child: the calling thread alone is left. */
PA_BOOT void pa_altstack_atfork_child(void);

#endif

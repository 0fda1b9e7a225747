/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks of agent threads, in the range of addresses where the program maps nothing
 * (pa_map_place). libc would map them where the kernel finds room: a program with one thread may
 * have unmapped just that, to map something else at the same place (MAP_FIXED), and would replace
 * the stack of a running thread.
 *
 * libc never unmaps a stack that was given to it (pthread_attr_setstack(3)). Of threads that it
 * keeps in its lists for ever, because nothing joins them or they end by a raw system call, the
 * stacks stay.
 *
 * Context: as marked. No lock. When full, or without memory, a thread gets a stack of libc.
 */
#ifndef PA_OWN_STACKS_H
#define PA_OWN_STACKS_H

#include <pthread.h>

#include "base/base.h"

struct pa_own_stack;

/* Gives the thread of attr, whose stack size it has, a stack with a guard page. NULL: left to
 * libc. */
PA_API struct pa_own_stack *pa_own_stacks_take(pthread_attr_t *attr);

/* The thread could not be created. */
PA_API void pa_own_stacks_give_back(struct pa_own_stack *stack);

/* After the creation of a thread that will be joined; after the join. */
PA_API void pa_own_stacks_created(struct pa_own_stack *stack, pthread_t thread);
PA_AGENT void pa_own_stacks_joined(pthread_t thread);

/* On the thread itself: at its start, and before a detached one returns to libc. */
PA_AGENT void pa_own_stacks_enter(struct pa_own_stack *stack);
PA_AGENT void pa_own_stacks_leave(struct pa_own_stack *stack);

/* In a forked child, after libc's own handler, which forgets the threads: all are free. */
PA_BOOT void pa_own_stacks_atfork_child(void);

#endif

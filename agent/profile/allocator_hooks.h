/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts hooks into the allocator of the program (record/inner_alloc.h), and takes them out again.
 *
 * While they are in, each of its calls takes a slow path: they are in only while a heap profile of
 * some seconds is taken, or always if PPROFAGENT_ALLOCATOR_HOOKS says so. Only into the allocator
 * of the executable: a library could be unloaded during a call into it.
 *
 * The allocator's functions are called on the agent's threads alone, never in a hook, a fork
 * handler or a signal handler, and with no lock that a fork of the program waits for: the
 * allocator's own fork handlers may run before the agent's, and hold its locks. A thread is pinned
 * meanwhile: it must not end while it holds a lock of the allocator.
 *
 * Context: PA_AGENT, any agent thread but the collector. Lock: PA_LOCK_HOOKS.
 */
#ifndef PA_ALLOCATOR_HOOKS_H
#define PA_ALLOCATOR_HOOKS_H

#include "allocators.h"

/* hooked(true): objects with the mark appear from now on; hooked(false): their frees are not seen
 * any more. Before all others. */
PA_AGENT void pa_allocator_hooks_init(void (*hooked)(bool on));

/* The collector is about to run: puts the hooks in if they are to be in from the start, or takes
 * those out that a parent process or a watch that has ended left. On a thread of its own. */
PA_AGENT void pa_allocator_hooks_begin(void);

/* One more watch of a heap profile, or one less. The first puts the hooks in, the last takes them
 * out, where the setting is "seconds". */
PA_AGENT void pa_allocator_hooks_watch(bool on);

/* True when the agent knows the hooks of this allocator, and may use them. No lock. */
PA_AGENT bool pa_allocator_hooks_can(const struct pa_allocators_item *allocator);

struct pa_allocator_hooks_stats {
	bool in;               /* they are in now */
	bool failed;           /* the allocator refused them */
	int64_t since_wall_ns; /* when they were put in */
	uint64_t
		before_bytes; /* allocated and not freed by then, as the allocator knows; 0: it does
			        * not know */
};
/* No lock: statistics. */
PA_AGENT struct pa_allocator_hooks_stats pa_allocator_hooks_stats(void);

/* All watches have ended with their threads. */
PA_AGENT void pa_allocator_hooks_suspended(void);
PA_BOOT void pa_allocator_hooks_atfork_child(void);

#endif

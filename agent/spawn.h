/*
 * Threads of our own: role agent, all signals blocked, SCHED_OTHER, not counted by libc.
 *
 * Context: PA_AGENT, but for the first one of a process, which boot or a forked child starts.
 * Memory: the start parameters come from the allocator behind our hooks.
 */
#ifndef PA_SPAWN_H
#define PA_SPAWN_H

#include "base/lock.h"
#include "record/bridge.h"
#include "record/ends.h"

/* loader: held while libc makes a thread. Both stay the caller's. */
PA_BOOT void pa_spawn_boot(const struct pa_bridge *bridge, struct pa_lock *loader);

/* The program ends already: a thread of ours that finds itself the last one need not see to it. */
PA_APP void pa_spawn_note_exit(void);

/* See spawn and thread_create in struct pa_bridge. */
PA_AGENT int pa_spawn(void *(*run)(void *), void *arg, const char *name);
PA_AGENT int pa_spawn_joinable(pthread_t *thread, const pthread_attr_t *attr,
	void *(*run)(void *), void *arg);

#endif

/*
 * The seam between the hooks and agent.c, which may not include each other: boot, fork, threads.
 * hooks/ implements pa_hooks_*, agent.c and spawn.c implement pa_process_*.
 */
#ifndef PA_PROCESS_H
#define PA_PROCESS_H

#include "bridge.h"

/* Resolves the real functions and puts those that the bridge offers into it. Safe to call again. */
PA_BOOT void pa_hooks_boot(struct pa_bridge *bridge);

/* The hooks of waits look at what they do (contend.h), or jump on to the real functions at once.
 * Any thread; takes effect soon. */
PA_APP void pa_hooks_watch(bool on);

/* pthread_create without our wrapper: 0 or an error number. */
PA_APP int pa_hooks_thread_create(pthread_t *thread, const pthread_attr_t *attr,
	void *(*run)(void *), void *arg);

/* dlopen for the core: local, and bound to its own libraries before the program's symbols. */
PA_AGENT void *pa_hooks_open_core(const char *path);

/* The hooked symbols: see struct pa_bridge. */
PA_AGENT size_t pa_hooks_status(struct pa_hook_status *out, size_t max);

/*
 * In a forked child, after all fork handlers ran and before the program goes on: starts the agent's
 * thread again when this child is to be profiled.
 */
PA_APP void pa_process_forked(void);

/* The program has one thread; ours do not count. False when libc does not tell. */
PA_SIGNAL bool pa_process_is_alone(void);

/* The process is about to end without its exit handlers. Nothing happens in a child that is not
 * itself profiled, vfork's among them. */
PA_APP void pa_process_exits(void);

#endif

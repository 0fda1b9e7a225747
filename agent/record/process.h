/*
 * The seam between the hooks and agent.c, which may not include each other: boot, fork, threads.
 * hooks/ implements pa_hooks_*, agent.c and spawn.c implement pa_process_*.
 */
#ifndef PA_PROCESS_H
#define PA_PROCESS_H

#include "bridge.h"
#include "sandbox.h"

/* Resolves the real functions and puts those that the bridge offers into it. Safe to call again. */
PA_BOOT void pa_hooks_boot(struct pa_bridge *bridge);

/* The hooks of waits look at what they do (contend.h), or jump on to the real functions at once.
 * Any thread; takes effect soon. */
PA_APP void pa_hooks_watch(bool on);

/* Boots record/signal.c. Takes our signal out of the calling thread's mask when the process was
 * started with all blocked: threads inherit that. Registers the alternate stack that it has. */
PA_BOOT void pa_hooks_signal_boot(void);

/* The calling thread is the program's main thread: we want to hear of its end. */
PA_BOOT void pa_hooks_meet_main(void);

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

/*
 * While a copy of the process is being made. With one thread, libc's fork takes no lock and a
 * signal handler may come at any moment of it, and a copy finds all locks free; our threads make
 * libc take malloc's locks, which a handler that allocates would wait for, and may themselves hold
 * the loader's. So the calling thread's handlers wait until the copy is made, on both sides, and
 * the copy waits for our threads.
 */
struct pa_hold {
	uint64_t mask; /* the kernel's, of before */
	bool has_mask, has_loader;
	bool alone; /* the copy has one thread, also for libc */
};

/* Around fork(). Where the program has fork handlers, they meet its signals as without us, and
 * those are held from the last of its handlers on. */
PA_APP void pa_process_hold_fork(struct pa_hold *hold);
/* The program, or a library, has registered fork handlers. */
PA_APP void pa_process_has_fork_handlers(void);

PA_APP void pa_process_hold_signals(struct pa_hold *hold);
/* Also in the child, whose mask is then what it would have been. */
PA_APP void pa_process_release_signals(const struct pa_hold *hold);

/*
 * Around calls that copy the process without its fork handlers. waits: for our threads to leave the
 * loader, bounded. The copy calls pa_process_copied instead, and is what it would have been.
 */
PA_APP void pa_process_hold(struct pa_hold *hold, bool waits);
PA_APP void pa_process_release(const struct pa_hold *hold);
PA_APP void pa_process_copied(const struct pa_hold *hold);

/*
 * Before a call that our threads are in the way of: they end. They are gone when this returns, as
 * far as the kernel goes, or patience_ns are over: then the call goes on all the same, and is
 * counted. True: one of the other two is to be called after it, on the same thread. False: nothing
 * happened (there is no agent here, or another thread of the program is at it all the time).
 *
 * for_good: they are meant to stay away, and leave what they are at as it is, in the middle of a
 * library; if they did, pa_process_come_back is the same as pa_process_stay_away.
 *
 * A filter of system calls may end the process for what one of ours does: that is worse than a
 * delay.
 */
#define PA_ASIDE_NS (100 * PA_NS_PER_MS)
#define PA_ASIDE_FILTER_NS (5 * PA_NS_PER_S)
PA_APP bool pa_process_step_aside(int64_t patience_ns, bool for_good);
PA_APP void pa_process_come_back(void);
/* They will not come back, and nothing is recorded any more. No system call that is denied. */
PA_APP void pa_process_stay_away(void);

/*
 * After a system call by which the calling thread gave something up for itself, with its arguments:
 * our threads make it too. chroot: they go to the program's root, and keep nothing that leads out
 * of there. They have when this returns, or 100 ms are over. False: not all of them could. errno
 * kept.
 */
struct pa_given {
	long number, a, b, c, d, e;
};
PA_APP bool pa_process_follow(const struct pa_given *call);

/* The program has one thread; ours do not count. False when libc does not tell. */
PA_SIGNAL bool pa_process_is_alone(void);

/*
 * The program has made a thread or a process: so filters of system calls, if there are any, allow
 * that, and we may look at the rest. In the program's thread, after the call; errno kept.
 */
PA_APP void pa_process_proven_slow(bool by_thread);
PA_INLINE void pa_process_proven(bool by_thread)
{
	if (pa_unlikely(pa_load_relaxed(&pa_sandbox_unproven)))
		pa_process_proven_slow(by_thread);
}

/* The process is about to end without its exit handlers. Nothing happens in a child that is not
 * itself profiled, vfork's among them. */
PA_APP void pa_process_exits(void);

#endif

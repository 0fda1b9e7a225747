/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interface between the hooks and the agent's life cycle (boot, fork, threads, exit), whose files
 * may not include each other. hooks/ implements pa_hooks_*; agent.c passes a table of the
 * operations that hooks call at boot (struct pa_process_ops).
 *
 * Context: as marked. No lock. The tables are constant after boot.
 */
#ifndef PA_PROCESS_H
#define PA_PROCESS_H

#include <pthread.h>

#include "sandbox.h"

struct pa_bridge;
struct pa_hook_status;

/* Resolves the real functions and stores those that the bridge offers. Idempotent. */
PA_BOOT void pa_hooks_boot(struct pa_bridge *bridge);

/* on: the hooks of waits record (lock_waits.h); off: they jump to the real functions at once. Any
 * thread; takes effect soon. */
PA_APP void pa_hooks_watch(bool on);

/* Boots record/signal.c. Unblocks the agent's signal in the calling thread when the process was
 * started with all signals blocked, since threads inherit the mask. Registers the alternate stack
 * that it has. */
PA_BOOT void pa_hooks_signal_boot(void);

/* Registers the calling thread, the program's main thread, for an event at its end. */
PA_BOOT void pa_hooks_register_main(void);

/* The real pthread_create: 0 or an error number. */
PA_APP int pa_hooks_thread_create(pthread_t *thread, const pthread_attr_t *attr,
	void *(*run)(void *), void *arg);

/* dlopen for the core: local, with its own libraries before the program's symbols
 * (RTLD_DEEPBIND). */
PA_AGENT void *pa_hooks_open_core(const char *path);

/* The hooked symbols: see struct pa_bridge. */
PA_AGENT size_t pa_hooks_status(struct pa_hook_status *out, size_t max);

/*
 * While the process is copied (fork, clone). In a process with one thread, libc's fork takes no
 * lock, a signal handler may run at any point of it, and the copy finds all locks free. With the
 * agent's threads libc takes malloc's locks, for which a handler that allocates would wait, and an
 * agent thread may hold the loader's lock. So signals of the calling thread are blocked until the
 * copy exists, in parent and child, and the copy waits for the agent's threads.
 */
struct pa_process_hold {
	uint64_t mask; /* the previous mask, as the kernel's word */
	bool has_mask, has_loader;
	bool alone; /* the copy has one thread, for libc too */
};

/* A system call by which a thread gives up privileges of its own. */
struct pa_process_privilege_call {
	long number, a, b, c, d, e;
};

/* Timeout of suspend: short where a delay hurts most; longer before a seccomp filter that may kill
 * the process for a call of an agent thread. */
#define PA_PROCESS_SUSPEND_NS (100 * PA_NS_PER_MS)
#define PA_PROCESS_SUSPEND_FILTER_NS (5 * PA_NS_PER_S)

/* Operations of the agent that hooks call. All PA_APP, on the program's thread in the hook. */
struct pa_process_ops {
	/*
	 * In a forked child, after all fork handlers and before fork returns: starts the agent's
	 * thread again when this child is to be profiled.
	 */
	void (*forked)(void);
	/* Around fork(). Fork handlers of the program run with signals unblocked, as without the
	 * agent; signals are blocked after the last of them. */
	void (*hold_fork)(struct pa_process_hold *hold);
	/* Also in the child: restores its mask. */
	void (*release_signals)(const struct pa_process_hold *hold);
	/*
	 * Around calls that copy the process without running fork handlers. waits: waits, bounded,
	 * for the agent's threads to leave the loader. The copy calls copied instead of release.
	 */
	void (*hold)(struct pa_process_hold *hold, bool waits);
	void (*release)(const struct pa_process_hold *hold);
	void (*copied)(const struct pa_process_hold *hold);
	/*
	 * Before a call for which the agent's threads must not exist: they end. When this returns,
	 * either the kernel has removed them, or timeout_ns have passed: the call proceeds anyway,
	 * and is counted. True: call resume or stay_suspended after it, on the same thread. False:
	 * nothing happened (no agent here, or another thread of the program does this repeatedly).
	 *
	 * for_good: the threads are meant to stay ended, and end wherever they are, also inside a
	 * library; if so, resume equals stay_suspended.
	 */
	bool (*suspend)(int64_t timeout_ns, bool for_good);
	void (*resume)(void);
	/* The threads are not restarted, and nothing is recorded any more. Makes no system call
	 * that is denied. */
	void (*stay_suspended)(void);
	/*
	 * After a system call by which the calling thread gave up privileges of its own, with its
	 * arguments: the agent's threads make the call too. chroot: they move to the program's
	 * root, and close descriptors that lead out of it. Waits until they have, 100 ms at most.
	 * False: not all could. errno kept.
	 */
	bool (*follow)(const struct pa_process_privilege_call *call);
	/* True when the program has one thread, the agent's not counted. False when libc's state
	 * does not show it. PA_SIGNAL. */
	bool (*is_alone)(void);
	/*
	 * The program has created a thread or a process: seccomp filters, if any, allow that, and
	 * the agent may probe other calls. After the call; errno kept.
	 */
	void (*proven)(bool by_thread);
	/* The process is about to end without its exit handlers. No effect in a child that is not
	 * profiled itself, such as a vfork child. */
	void (*exits)(void);
};

/* The program or a library has registered fork handlers, maybe before boot; relaxed. */
extern PA_ATOMIC(uint32_t) pa_process_has_fork_handlers PA_HIDDEN;

/* Constant after boot; before it, operations without effect. */
extern const struct pa_process_ops *pa_process PA_HIDDEN;

PA_INLINE void pa_process_proven(bool by_thread)
{
	if (pa_unlikely(pa_load_relaxed(&pa_sandbox_unproven)))
		pa_process->proven(by_thread);
}

#endif

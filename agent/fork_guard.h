/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the program's signal handlers and the agent's threads out of the way while a copy of the
 * process is created (fork, _Fork, clone).
 *
 * Context: PA_APP. Lock: the loader's (PA_LOCK_LOAD), owned by agent.c.
 */
#ifndef PA_FORK_GUARD_H
#define PA_FORK_GUARD_H

#include "base/lock.h"
#include "record/process.h"

/* loader: remains the caller's. */
PA_BOOT void pa_fork_guard_boot(struct pa_lock *loader);

/*
 * For the fork handlers. Takes the loader's lock within timeout_ns; does not wait in a copy that
 * was created without fork handlers, where the holder does not exist. False: not held; in such a
 * copy also: an agent thread was in the loader when it was created.
 */
PA_APP bool pa_fork_guard_loader(int64_t timeout_ns);

/* True in such a copy: a process with its own memory and without agent threads. */
PA_APP bool pa_fork_guard_is_bare_copy(void);

PA_APP void pa_fork_guard_signals(struct pa_process_hold *hold);

/* See struct pa_process_ops. */
PA_APP void pa_fork_guard_release_signals(const struct pa_process_hold *hold);
PA_APP void pa_fork_guard_fork(struct pa_process_hold *hold);
PA_APP void pa_fork_guard_copy(struct pa_process_hold *hold, bool waits);
PA_APP void pa_fork_guard_release(const struct pa_process_hold *hold);
PA_APP void pa_fork_guard_copied(const struct pa_process_hold *hold);

#endif

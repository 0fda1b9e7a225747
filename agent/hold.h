/*
 * Stands between the program's signal handlers, our threads, and a copy of the process that is
 * being made (fork, _Fork, clone). Implements pa_process_hold and its like of record/process.h.
 *
 * Context: PA_APP. Takes the loader's lock (PA_LOCK_LOAD), whose owner is agent.c.
 */
#ifndef PA_HOLD_H
#define PA_HOLD_H

#include "base/lock.h"
#include "record/process.h"

/* loader: stays the caller's. */
PA_BOOT void pa_hold_boot(struct pa_lock *loader);

/*
 * For the fork handlers. Takes the loader's lock within timeout_ns; in a copy of a process that no
 * fork handler saw being made nothing is waited for, since the holder is not there. False: not
 * held, and in such a copy also that the loader was at work for us when it was made.
 */
PA_APP bool pa_hold_loader(int64_t timeout_ns);

/* The calling process is such a copy: memory of its own, and none of our threads. */
PA_APP bool pa_hold_is_stray(void);

#endif

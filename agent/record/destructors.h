/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Destructors of thread-specific data (pthread_key_create(3)) of the executable: the agent can hold
 * them back while it changes the hooks of the executable's allocator.
 *
 * jemalloc 5.2.0 to 5.3.1 marks all threads when its hooks change (tsd_force_recompute), and its
 * destructor, tsd_cleanup, does nothing for a thread that ends with the mark: the thread stays in
 * jemalloc's list, and the program crashes when the thread's memory is used again. The mark goes
 * with the next call of jemalloc. So the destructor is preceded by such a call, and no change of
 * the hooks comes between the two.
 *
 * Context: as marked. No lock: a word in pa_switches counts the threads in each destructor, and is
 * 0 in a forked child.
 */
#ifndef PA_DESTRUCTORS_H
#define PA_DESTRUCTORS_H

#include "../base/base.h"

/* How many can be held back. An allocator registers its own at its first allocation: it is among
 * the first. */
#define PA_DESTRUCTORS 4

typedef void pa_destructors_run(void *value);

/* jemalloc's mallctl(3). */
typedef int pa_destructors_mallctl(const char *name, void *old, size_t *old_bytes, void *fresh,
	size_t fresh_bytes);

/*
 * The destructor to register in the place of the program's: one that can be held back if it is of
 * the executable and among its first few, or else the same. NULL: NULL.
 */
PA_APP pa_destructors_run *pa_destructors_wrap(pa_destructors_run *destructor);

/* True when that destructor was registered by wrap, and so can be held back. */
PA_AGENT bool pa_destructors_has(uintptr_t destructor);

/*
 * From now on threads wait before that destructor, which has() knows. Returns when no thread is in
 * it. False: one did not return within timeout_ns, and nothing is held back. The caller serializes
 * calls, and calls release soon: threads of the program wait for it.
 */
PA_AGENT bool pa_destructors_hold(uintptr_t destructor, int64_t timeout_ns);

/* Lets threads go on. From now on each of them calls mallctl, if it is not NULL, before the
 * destructor. */
PA_AGENT void pa_destructors_release(uintptr_t destructor, pa_destructors_mallctl *mallctl);

#endif

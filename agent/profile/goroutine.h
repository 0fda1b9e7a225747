/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goroutine profile: the stacks of all threads now. A snapshot is a thread dump: a signal makes the
 * program's threads write their stacks.
 *
 * Context: PA_AGENT. pa_goroutine_take and pa_goroutine_now: any of our threads but the collector;
 * pa_goroutine_take takes PA_LOCK_DUMP, one dump at a time. All others: the collector only, under
 * PA_LOCK_TABLES. Memory: what the threads of a dump need, until it ends.
 */
#ifndef PA_GOROUTINE_H
#define PA_GOROUTINE_H

#include "../record/thread_dump.h"
#include "snapshot.h"

extern const struct pa_profile_ops pa_goroutine_profile PA_HIDDEN;

/*
 * Takes a thread dump, which takes up to 200 ms if a thread does not answer; one sample per thread.
 * detail: including the kernel's state of each thread (about three system calls per thread). NULL:
 * out of memory, or the collector did not answer.
 */
PA_AGENT struct pa_snapshot *pa_goroutine_take(bool detail);

/* Number of the program's threads now, without the agent's; 0: /proc cannot be read. */
PA_API size_t pa_goroutine_now(void);

/* A thread dump; owned by the thread that takes it, including the memory it points to. */
struct pa_goroutine_dump {
	struct pa_thread_dump dump;
	/* The kernel's data for each of dump.count entries. */
	const struct pa_thread_info *details;
};

/* Begins a thread dump on the collector. details: as above; NULL: not requested. Both must exist
 * until pa_goroutine_end_locked. Returns 0 or -ENOMEM. */
PA_AGENT int pa_goroutine_begin_locked(const struct pa_thread_dump *dump,
	const struct pa_thread_info *details);

/* Adds the answer of a thread; ignored if it belongs to another thread dump. labels: id of the
 * thread's set. */
PA_AGENT void pa_goroutine_answer_locked(uint32_t generation, uint32_t index,
	const struct pa_stack *stack, uint32_t labels);

/* Number of threads in the profile, without PA_THREAD_DUMP_GONE. */
PA_AGENT size_t pa_goroutine_count(void);

/* Writes pa_goroutine_count() samples to out, and one struct pa_thread_info for each to info. */
PA_AGENT void pa_goroutine_samples_locked(struct pa_sample *out, struct pa_thread_info *info);

PA_AGENT void pa_goroutine_end_locked(void);

/* Bytes mapped for the thread dump in progress. */
PA_AGENT size_t pa_goroutine_bytes(void);

#endif

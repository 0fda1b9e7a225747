/*
 * Threads: who created them (threadcreate), and what all of them do now (goroutine).
 *
 * Context: PA_AGENT. The collector only, under PA_LOCK_TABLES, but for pa_threads_now.
 * Memory: PA_THREADS_RECORDS records of creators, as they appear; of a rollcall what its threads
 * need, until it ends.
 * When full: a creation is counted in dropped.
 */
#ifndef PA_THREADS_H
#define PA_THREADS_H

#include "../record/rollcall.h"
#include "snapshot.h"

#define PA_THREADS_RECORDS (16 * 1024)

/* ---- threadcreate ---- */

PA_AGENT void pa_threads_created(const struct pa_stack *stack);
PA_AGENT size_t pa_threads_create_count(void); /* records: distinct stacks */
PA_AGENT void pa_threads_create_samples(struct pa_sample *out);

/* ---- goroutine ---- */

/*
 * A rollcall that the collector has been told of. details: one for each of roll->count entries,
 * with what the kernel says of the thread; NULL: nobody asked. Both belong to the caller and stay
 * until pa_threads_roll_end.
 */
PA_AGENT int pa_threads_roll_begin(const struct pa_roll *roll, const struct pa_about *details);

/* An answer; ignored when it is not of this rollcall. labels: the id of the thread's set. */
PA_AGENT void pa_threads_roll_answer(uint32_t generation, uint32_t index,
	const struct pa_stack *stack, uint32_t labels);

/* Threads that are to be shown: not PA_ROLL_GONE. */
PA_AGENT size_t pa_threads_roll_count(void);

/* Writes pa_threads_roll_count() samples to out, and one struct pa_about for each to about. */
PA_AGENT void pa_threads_roll_samples(struct pa_sample *out, struct pa_about *about);

PA_AGENT void pa_threads_roll_end(void);

/* Number of the program's threads now, ours left out; 0 when /proc cannot be read. Any thread of
 * ours. */
PA_AGENT size_t pa_threads_now(void);

struct pa_threads_stats {
	uint64_t created;  /* since the start */
	uint64_t dropped;  /* creations that found no record */
	size_t table_bytes;
};
PA_AGENT struct pa_threads_stats pa_threads_stats(void);

/* In a forked child: its parent's threads are gone. abandon: as in contention.h. */
PA_BOOT void pa_threads_atfork_child(bool abandon);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wall-clock profile: where threads spend their time, on a processor or not, from repeated thread
 * dumps. Types and rate are those of fgprof for Go.
 *
 * Each dump represents the time since the previous one, so totals are right at any rate; the rate
 * falls until dumps take at most a tenth of the time.
 *
 * Context: PA_AGENT, one thread at a time: the caller of a successful begin until its end. No lock.
 * Memory: 40 bytes per stack of each thread, at most PA_WALL_RECORDS, and one name per thread. When
 * full: samples count at pa_stack_table_overflow(); threads above PA_WALL_THREADS have no name.
 */
#ifndef PA_WALL_H
#define PA_WALL_H

#include "snapshot.h"

#define PA_WALL_RECORDS (64 * 1024)
#define PA_WALL_THREADS (16 * 1024)

/* As fgprof: 99 Hz, because programs often have a period of 10 ms. */
#define PA_WALL_PERIOD_NS (PA_NS_PER_S / 99)

extern const struct pa_profile_ops pa_wall_profile PA_HIDDEN;

/* Returns 0; -EBUSY: one is in progress; -ENOMEM. */
PA_AGENT int pa_wall_begin(void);

/* True while pa_wall_begin would return -EBUSY. */
PA_AGENT bool pa_wall_is_taken(void);

/* Dumps the threads. ns to wait before the next one. */
PA_AGENT int64_t pa_wall_dump(void);

/* Returns the profile from begin to the last dump; NULL: no dump succeeded, or out of memory. */
PA_AGENT struct pa_snapshot *pa_wall_end(void);

#endif

/*
 * Wall-clock profile: where threads spend their time, on a processor or not, by calling the roll
 * again and again. What fgprof is for Go programs, with its types and its rate.
 *
 * Each roll stands for the time since the one before, however long that was, so totals are right at
 * any rate; and the rate falls until rolls take no more than a tenth of the time.
 *
 * Context: PA_AGENT, one thread at a time: from a begin that returned 0 to its end the caller's.
 * Memory: 40 bytes for each stack of each thread, PA_WALL_RECORDS at most, and a name a thread.
 * When full: samples count at pa_sites_overflow(); threads above PA_WALL_THREADS have no name.
 */
#ifndef PA_WALL_H
#define PA_WALL_H

#include "snapshot.h"

#define PA_WALL_RECORDS (64 * 1024)
#define PA_WALL_THREADS (16 * 1024)

/* As fgprof: 99 Hz falls less into step with what programs do every 10 ms. */
#define PA_WALL_PERIOD_NS (PA_NS_PER_S / 99)

extern const struct pa_kind pa_wall_kind;

/* 0, -EBUSY: one is being taken, -ENOMEM. */
PA_AGENT int pa_wall_begin(void);

/* Calls the roll. ns to wait before the next one. */
PA_AGENT int64_t pa_wall_roll(void);

/* The profile, from begin to the last roll; NULL: no roll succeeded, or out of memory. */
PA_AGENT struct pa_snapshot *pa_wall_end(void);

/* In a forked child: nobody takes one. The memory of a parent's is lost. */
PA_BOOT void pa_wall_reset(void);

#endif

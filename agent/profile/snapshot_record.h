/*
 * The half of snapshot.h that asks the recording side: rollcalls, and contention that is recorded
 * while somebody watches. One at a time, under one lock.
 *
 * Context: PA_AGENT, any of our threads; takes PA_LOCK_ROLL, but where it says otherwise.
 */
#ifndef PA_SNAPSHOT_RECORD_H
#define PA_SNAPSHOT_RECORD_H

#include "../base/base.h"

/* One in so many ends of contended critical sections is recorded now; 0: none. No lock. */
PA_AGENT uint64_t pa_snapshot_record_fraction(void);

/* Who watched is gone. */
PA_AGENT void pa_snapshot_record_aside(void);

/* In a forked child: nobody watches, nobody calls the roll. The recording side is as the settings
 * say. */
PA_BOOT void pa_snapshot_record_atfork_child(void);

/* Are events of execution traces recorded? */
PA_AGENT void pa_snapshot_record_trace(bool on);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU profiles: ticks by (stack, thread id, thread name, labels). One profile that shares with no
 * other, as in Go, and beside it up to PA_CPU_SHARED that share: each has the ticks of its own
 * time. A kind stands for one of them (its id), of which only pa_cpu_profile is in the list.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES. Lock: PA_LOCK_CPU in start, stop and
 * suspension. Memory: up to PA_CPU_RECORDS or PA_CPU_SHARED_RECORDS records of 40 bytes for each
 * profile in progress, and thread names (cpu_names.h). When full: ticks are counted in
 * ticks_dropped.
 */
#ifndef PA_CPU_H
#define PA_CPU_H

#include "../record/event.h"
#include "snapshot.h"

#define PA_CPU_RECORDS (64 * 1024)
#define PA_CPU_SHARED 7
#define PA_CPU_SHARED_RECORDS (16 * 1024)

extern const struct pa_profile_ops pa_cpu_profile PA_HIDDEN;

/* ---- any of our threads but the collector ---- */

/*
 * Begins pa_cpu_profile and switches sampling on at rate_hz; at the present rate where other
 * profiles are in progress. 0, -EBUSY when it is being taken already, or the error of tick_start.
 * Each success needs one pa_cpu_stop.
 */
PA_API int pa_cpu_start(unsigned rate_hz);

/* The same in two steps. Claims pa_cpu_profile: from now on others get -EBUSY. False: it is being
 * taken. Then the start, which waits for the collector and ends the claim if it fails. */
PA_API bool pa_cpu_claim(void);
PA_API int pa_cpu_start_claimed(const struct pa_profile_ops *kind, unsigned rate_hz);
/* Instead of the start. */
PA_AGENT void pa_cpu_disclaim(void);

/* The same, beside other profiles; *kind is the argument of pa_cpu_stop. -EAGAIN: PA_CPU_SHARED are
 * in progress. */
PA_AGENT int pa_cpu_start_shared(unsigned rate_hz, const struct pa_profile_ops **kind);

/* Switches sampling off if it was the last profile, drains, and returns the profile (NULL: out of
 * memory). */
PA_API struct pa_snapshot *pa_cpu_stop(const struct pa_profile_ops *kind);

/* ---- the collector ---- */

/* Empties the table and begins a profile. lost_ticks: losses of the recording side so far. */
PA_AGENT void pa_cpu_begin_locked(const struct pa_profile_ops *kind, int64_t period_ns,
	uint64_t lost_ticks);

/* Ends the profile and frees its table. */
PA_AGENT void pa_cpu_end_locked(const struct pa_profile_ops *kind);

/* Adds the ticks (value[0]) of a PA_EVENT_CPU to each profile in whose time they are. */
PA_AGENT void pa_cpu_add_locked(const struct pa_event *event, const struct pa_stack *stack);

PA_AGENT size_t pa_cpu_count(const struct pa_profile_ops *kind);

/* Writes all pa_cpu_count() records to out, in order of first appearance. */
PA_AGENT void pa_cpu_samples(const struct pa_profile_ops *kind, struct pa_sample *out);

/* Of the profile in progress; 0 if there is none. */
struct pa_cpu_stats {
	int64_t period_ns;
	int64_t start_wall_ns, start_mono_ns;
	uint64_t lost_before; /* argument of pa_cpu_begin_locked */
	uint64_t ticks_dropped;
};
PA_AGENT struct pa_cpu_stats pa_cpu_stats(const struct pa_profile_ops *kind);

/* Of all profiles since the start of the process. */
struct pa_cpu_totals {
	uint64_t ticks_dropped;
	uint64_t names_dropped; /* ticks whose thread name did not fit */
	size_t table_bytes;     /* now */
};
PA_AGENT struct pa_cpu_totals pa_cpu_totals(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block and the mutex profile: contentions and the time waited, by stack.
 *
 * Wakes of futexes are kept apart, by the stack that woke and that of a waiter: the names in the
 * latter tell whether it was a lock, and names are known only when the profile is written
 * (serve/mutex_locks.h). They are samples of the mutex profile until then.
 *
 * Events come scaled (record/lock_waits.h), so text and proto show the same.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES. Memory: PA_CONTENTION_RECORDS
 * records a profile, as they appear.
 * When full: counted in dropped and dropped_ns of that profile.
 */
#ifndef PA_CONTENTION_H
#define PA_CONTENTION_H

#include "snapshot.h"

#define PA_CONTENTION_RECORDS (32 * 1024)

extern const struct pa_profile_ops pa_block_profile PA_HIDDEN, pa_mutex_profile PA_HIDDEN;

/* kind: one of the two, also below. */
PA_AGENT void pa_contention_add(const struct pa_profile_ops *kind, const struct pa_stack *stack,
	double contentions, uint64_t delay_ns);

/* To the mutex profile. waiter NULL: not known; it is counted as such. */
PA_AGENT void pa_contention_add_wake(const struct pa_stack *stack, const struct pa_stack *waiter,
	double contentions, uint64_t delay_ns);

/* Of samples. */
PA_API size_t pa_contention_count(const struct pa_profile_ops *kind);

/* How many of them are left when it is written; wakes that nothing is known of yet count. */
PA_API size_t pa_contention_shown(const struct pa_profile_ops *kind);

/* Writes all pa_contention_count() records to out, in order of first appearance. Fractions of
 * contentions are truncated, as in Go. */
PA_AGENT void pa_contention_samples(const struct pa_profile_ops *kind, struct pa_sample *out);

struct pa_contention_stats {
	uint64_t dropped; /* events without a record */
	uint64_t dropped_ns;
	uint64_t wakes_dropped; /* wakes of futexes that found no record */
	uint64_t wakes_unknown; /* without a waiter that is known */
	size_t table_bytes;     /* of both profiles */
};
PA_AGENT struct pa_contention_stats pa_contention_stats(const struct pa_profile_ops *kind);

#endif

/*
 * The block and the mutex profile: contentions and the time waited, by stack.
 *
 * Events come scaled (record/contend.h), so text and proto show the same.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES. Memory: PA_CONTENTION_RECORDS
 * records a profile, as they appear.
 * When full: counted in dropped and dropped_ns of that profile.
 */
#ifndef PA_CONTENTION_H
#define PA_CONTENTION_H

#include "snapshot.h"

#define PA_CONTENTION_RECORDS (32 * 1024)

/* kind: PA_KIND_BLOCK or PA_KIND_MUTEX, here and below. */
PA_AGENT void pa_contention_add(enum pa_kind_id kind, const struct pa_stack *stack,
	double contentions, uint64_t delay_ns);

PA_AGENT size_t pa_contention_count(enum pa_kind_id kind);

/* Writes all pa_contention_count() records to out, in order of first appearance. Fractions of
 * contentions are cut off, as in Go. */
PA_AGENT void pa_contention_samples(enum pa_kind_id kind, struct pa_sample *out);

struct pa_contention_stats {
	uint64_t dropped;    /* events that found no record */
	uint64_t dropped_ns;
	size_t table_bytes;  /* of both profiles */
};
PA_AGENT struct pa_contention_stats pa_contention_stats(enum pa_kind_id kind);

/* In a forked child, which starts anew: its parent's threads waited. abandon: the tables may be
 * half changed, their memory is lost. */
PA_BOOT void pa_contention_atfork_child(bool abandon);

#endif

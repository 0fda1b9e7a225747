/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threadcreate profile: stacks that created threads, including threads that have ended.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES. Memory: up to
 * PA_THREADCREATE_RECORDS records of creators. When full: a creation is counted in dropped.
 */
#ifndef PA_THREADCREATE_H
#define PA_THREADCREATE_H

#include "snapshot.h"

#define PA_THREADCREATE_RECORDS (16 * 1024)

extern const struct pa_profile_ops pa_threadcreate_profile PA_HIDDEN;

PA_AGENT void pa_threadcreate_add_locked(const struct pa_stack *stack);
PA_AGENT size_t pa_threadcreate_count(void); /* records: distinct stacks */

/* Writes pa_threadcreate_count() samples to out. */
PA_AGENT void pa_threadcreate_samples(struct pa_sample *out);

struct pa_threadcreate_stats {
	uint64_t created; /* since the start */
	uint64_t dropped; /* creations without a record */
	size_t table_bytes;
};
PA_AGENT struct pa_threadcreate_stats pa_threadcreate_stats(void);

#endif

/*
 * The program's own profiles: which values are in them, and with which stack each was added.
 *
 * What is in a profile was decided when it was recorded (record/custom.h); here events are believed
 * as they come. A value that is added once more has the new stack, one that is not there is not
 * removed.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES. Memory: 16 to 43 bytes a value, and
 * PA_VALUES_RECORDS pairs of profile and stack.
 * When full: the value counts at pa_sites_overflow() until it is removed.
 */
#ifndef PA_VALUES_H
#define PA_VALUES_H

#include "snapshot.h"

#define PA_VALUES_RECORDS (64 * 1024)

/* id: of a profile, below PA_CUSTOM_MAX; here and below. */
PA_AGENT void pa_values_add(uint32_t id, uintptr_t value, const struct pa_stack *stack);
PA_AGENT void pa_values_remove(uint32_t id, uintptr_t value);

/* At most so many samples are written by the next. */
PA_AGENT size_t pa_values_count(uint32_t id);

/* Writes one sample a stack with its number of values; how many. */
PA_AGENT size_t pa_values_samples(uint32_t id, struct pa_sample *out);

struct pa_values_stats {
	size_t values;         /* with a stack, in all profiles */
	uint64_t dropped;      /* stacks of values, since the start: a table was full */
	size_t table_bytes;
};
PA_AGENT struct pa_values_stats pa_values_stats(void);

/* In a forked child whose tables may be half changed: empty; the old memory is lost. */
PA_BOOT void pa_values_abandon(void);

#endif

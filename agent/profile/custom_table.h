/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Custom profiles: the values in each profile, and the stack that added each.
 *
 * The recording side (record/custom_set.h) has decided what is in a profile; events are applied as
 * they come. Adding a value again replaces its stack; removing an absent value has no effect.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES. Memory: 16 to 43 bytes per value,
 * and up to PA_CUSTOM_TABLE_RECORDS pairs of profile and stack. When full: the value counts at
 * pa_stack_table_overflow() until it is removed.
 */
#ifndef PA_CUSTOM_TABLE_H
#define PA_CUSTOM_TABLE_H

#include "snapshot.h"

#define PA_CUSTOM_TABLE_RECORDS (64 * 1024)

/* The family; a member for each profile of the program's own, made when it is first asked for and
 * never freed. */
extern const struct pa_profile_ops pa_custom_profile PA_HIDDEN;

/* id: of a profile, below PA_CUSTOM_SET_MAX; here and below. */
PA_AGENT void pa_custom_table_add_locked(uint32_t id, uintptr_t value,
	const struct pa_stack *stack);
PA_AGENT void pa_custom_table_remove_locked(uint32_t id, uintptr_t value);

/* Upper bound of the samples that pa_custom_table_samples writes. */
PA_AGENT size_t pa_custom_table_count(uint32_t id);

/* Writes one sample per stack with its number of values. Returns the number of samples. */
PA_AGENT size_t pa_custom_table_samples(uint32_t id, struct pa_sample *out);

struct pa_custom_table_stats {
	size_t values;    /* with a stack, in all profiles */
	uint64_t dropped; /* stacks of values lost since the start: a table was full */
	size_t table_bytes;
};
PA_AGENT struct pa_custom_table_stats pa_custom_table_stats(void);

#endif

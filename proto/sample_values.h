/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of samples as a profile shows them, and the choice of one of them.
 *
 * Context: PA_AGENT, any thread; pure functions.
 */
#ifndef PA_SAMPLE_VALUES_H
#define PA_SAMPLE_VALUES_H

#include "../agent/profile/snapshot.h"

/* Writes all values of the sample; those of heap and allocs are scaled. */
PA_AGENT void pa_sample_values_of(const struct pa_snapshot *snapshot,
	const struct pa_sample *sample, int64_t values[PA_PROFILE_OPS_VALUES]);

/* Index of the value of that type; -1: the kind has none. NULL: the type that pprof shows if none
 * is chosen, the default_sample_type or else the last. */
PA_AGENT int pa_sample_values_index(const struct pa_profile_ops *kind, const char *type);

#endif

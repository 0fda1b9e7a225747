/* SPDX-License-Identifier: Apache-2.0 */
#include "sample_values.h"

#include <string.h>

#include "../agent/profile/heap_scale.h"

/* Scales two values of a heap sample: objects and bytes, allocated or in use. */
static void scale_pair(const struct pa_snapshot *snapshot, double round_up, int64_t *pair)
{
	pa_heap_scale_estimate(pair[0], pair[1], snapshot->period, round_up, &pair[0], &pair[1]);
}

PA_AGENT void pa_sample_values_of(const struct pa_snapshot *snapshot,
	const struct pa_sample *sample, int64_t values[PA_PROFILE_OPS_VALUES])
{
	memcpy(values, sample->values, sizeof(sample->values));
	if (snapshot->kind->scaled) {
		double round_up = pa_heap_scale_rounding(sample->stack, sample->bytes_label);
		scale_pair(snapshot, round_up, &values[0]);
		scale_pair(snapshot, round_up, &values[2]);
	}
}

PA_AGENT int pa_sample_values_index(const struct pa_profile_ops *kind, const char *type)
{
	const char *wanted = type ? type : kind->default_sample_type;

	for (uint32_t i = 0; wanted && i < kind->value_count; i++)
		if (strcmp(kind->values[i].type, wanted) == 0)
			return (int)i;
	return type ? -1 : (int)kind->value_count - 1;
}

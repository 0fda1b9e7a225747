/* SPDX-License-Identifier: Apache-2.0 */
#include "mutex_locks.h"

#include "../../proto/futex_kind.h"
#include "../base/kept_pages.h"
#include "../profile/delta.h"

PA_AGENT bool pa_mutex_locks_is_mixed(const struct pa_snapshot *snapshot)
{
	size_t i;

	for (i = 0; i < snapshot->sample_count; i++)
		if (snapshot->samples[i].waiter)
			return true;
	return false;
}

static bool is_lock(const struct pa_sample *sample)
{
	return !sample->waiter || pa_futex_kind_of_stack(sample->waiter) == PA_FUTEX_LOCK;
}

PA_AGENT struct pa_snapshot *pa_mutex_locks_only(const struct pa_snapshot *snapshot)
{
	size_t i, bytes = snapshot->sample_count * sizeof(struct pa_sample);
	struct pa_snapshot kept = *snapshot;
	struct pa_snapshot *result;

	kept.samples = pa_kept_pages_map(bytes);
	if (!kept.samples)
		return NULL;
	kept.sample_count = 0;
	for (i = 0; i < snapshot->sample_count; i++) {
		if (!is_lock(&snapshot->samples[i]))
			continue;
		kept.samples[kept.sample_count] = snapshot->samples[i];
		kept.samples[kept.sample_count++].waiter = NULL;
	}
	result = pa_delta_merge(&kept);
	pa_kept_pages_unmap(kept.samples, bytes);
	return result;
}

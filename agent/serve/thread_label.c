/* SPDX-License-Identifier: Apache-2.0 */
#include "thread_label.h"

#include <errno.h>
#include <string.h>

#include "../../proto/strtab.h"
#include "../base/kept_pages.h"
#include "../base/assert.h"
#include "../profile/delta.h"
#include "../profile/thread_names.h"

bool pa_thread_label_differs(const struct pa_snapshot *snapshot, enum pa_env_thread_label label)
{
	for (size_t i = 0; label != PA_ENV_THREAD_LABEL_NAME && i < snapshot->sample_count; i++)
		if (snapshot->samples[i].tid)
			return true;
	return false;
}

size_t pa_thread_label_pool(char *out, size_t size, const char *name)
{
	size_t length = 0;

	PA_ASSERT(size);
	while (*name && length < size - 1) {
		size_t digits = strspn(name, "0123456789");

		out[length++] = digits ? '*' : *name;
		name += digits ? digits : 1;
	}
	out[length] = '\0';
	return length;
}

/* Names of pools, each once. */
struct pools {
	struct pa_strtab names;
	char *next; /* free memory, for one name more */
};

/* Returns the index of the thread's pool, or -ENOMEM. */
static int64_t pool_of(struct pools *pools, const char *thread)
{
	size_t length = pa_thread_label_pool(pools->next, PA_THREAD_NAMES_BYTES, thread);
	uint32_t known = pools->names.count;
	int64_t index = pa_strtab_index(&pools->names, pools->next);

	if (pools->names.count != known)
		pools->next += length + 1;
	return index;
}

/* Gives each sample the number of its pool as the tid: samples of one pool become equal. */
static int number_pools(struct pools *pools, struct pa_snapshot *copy,
	enum pa_env_thread_label label)
{
	for (size_t i = 0; i < copy->sample_count; i++) {
		struct pa_sample *sample = &copy->samples[i];
		bool has_pool = label == PA_ENV_THREAD_LABEL_POOL && sample->thread;
		int64_t pool = has_pool ? pool_of(pools, sample->thread) : 0;

		if (pool < 0)
			return -ENOMEM;
		sample->tid = (int32_t)pool;
	}
	return 0;
}

/* The number becomes the name; 0 is "". */
static void name_pools(const struct pools *pools, struct pa_snapshot *merged)
{
	for (size_t i = 0; i < merged->sample_count; i++) {
		struct pa_sample *sample = &merged->samples[i];

		sample->thread = pa_strtab_text(&pools->names, (uint32_t)sample->tid);
		sample->tid = 0;
		sample->info = NULL;
	}
}

static int merge_pools(struct pa_thread_label_view *view, struct pa_snapshot *copy,
	enum pa_env_thread_label label)
{
	struct pools pools = { .next = (char *)(copy->samples + copy->sample_count) };
	int error = pa_strtab_init(&pools.names);

	if (!error)
		error = number_pools(&pools, copy, label);
	if (!error) {
		view->snapshot = pa_delta_merge(copy);
		if (view->snapshot)
			name_pools(&pools, view->snapshot);
		else
			error = -ENOMEM;
	}
	pa_strtab_free(&pools.names);
	return error;
}

int pa_thread_label_open(struct pa_thread_label_view *view, const struct pa_snapshot *snapshot,
	enum pa_env_thread_label label)
{
	struct pa_snapshot copy = *snapshot;
	size_t count = snapshot->sample_count;

	*view = (struct pa_thread_label_view){
		.bytes = PA_ALIGN_UP(count * (sizeof(struct pa_sample) + PA_THREAD_NAMES_BYTES) +
				PA_THREAD_NAMES_BYTES,
			PA_PAGE_BYTES),
	};
	view->memory = pa_kept_pages_map(view->bytes);
	if (!view->memory)
		return -ENOMEM;
	copy.samples = view->memory;
	memcpy(copy.samples, snapshot->samples, count * sizeof(struct pa_sample));
	return merge_pools(view, &copy, label);
}

void pa_thread_label_close(struct pa_thread_label_view *view)
{
	pa_snapshot_free(view->snapshot);
	pa_kept_pages_unmap(view->memory, view->bytes);
	*view = (struct pa_thread_label_view){ 0 };
}

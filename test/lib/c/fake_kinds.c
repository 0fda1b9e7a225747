/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/fake_kinds.h"

struct fake_kinds_state fake_kinds;

void fake_watch(const struct pa_profile_ops *kind, bool sampled, bool on)
{
	size_t index = pa_profile_lookup_index(kind);
	int by = on ? 1 : -1;
	if (on)
		pa_add_acq_rel(&fake_kinds.watches, 1);
	if (sampled)
		pa_add_acq_rel(&fake_kinds.sampled[index], by);
	int left = pa_add_acq_rel(&fake_kinds.watching[index], by) + by;
	if (!on && fake_kinds.on_end)
		fake_kinds.on_end(left);
}

int fake_watching(const struct pa_profile_ops *kind)
{
	return pa_load_acquire(&fake_kinds.watching[pa_profile_lookup_index(kind)]);
}

int fake_sampled(const struct pa_profile_ops *kind)
{
	return pa_load_acquire(&fake_kinds.sampled[pa_profile_lookup_index(kind)]);
}

void fake_forget_watches(void)
{
	pa_store_relaxed(&fake_kinds.watches, 0);
	for (size_t i = 0; i < PA_PROFILE_LIST_MAX; i++) {
		pa_store_relaxed(&fake_kinds.watching[i], 0);
		pa_store_relaxed(&fake_kinds.sampled[i], 0);
	}
}

#define FAKE_VALUES                                                               \
	.value_count = 4,                                                         \
	.values = { { "one", "count" }, { "two", "count" }, { "three", "count" }, \
		{ "four", "count" } }

#define FAKE_KIND(NAME, ...)                                                                       \
	const struct pa_profile_ops pa_##NAME##_profile = {                                        \
		.name = #NAME, .description = #NAME, FAKE_VALUES, .watch = fake_watch, __VA_ARGS__ \
	};

FAKE_KIND(allocs, .named = true, .has_seconds = true, .text = PA_PROFILE_OPS_TEXT_HEAP)
FAKE_KIND(block, .named = true, .has_seconds = true, .has_delta_clients = true,
	.text = PA_PROFILE_OPS_TEXT_BLOCK)
FAKE_KIND(goroutine, .named = true, .has_seconds = true, .text = PA_PROFILE_OPS_TEXT_THREADS)
FAKE_KIND(heap, .named = true, .has_seconds = true, .has_delta_clients = true, .trims = true,
	.levels = 1 << 2 | 1 << 3, .text = PA_PROFILE_OPS_TEXT_HEAP)
FAKE_KIND(mutex, .named = true, .has_seconds = true, .has_delta_clients = true,
	.text = PA_PROFILE_OPS_TEXT_MUTEX)
FAKE_KIND(threadcreate, .named = true, .has_seconds = true, .text = PA_PROFILE_OPS_TEXT_COUNT)

const struct pa_profile_ops pa_cpu_profile = {
	.name = "profile", .description = "profile", FAKE_VALUES
};

static const struct pa_profile_ops *fake_custom_member(uint32_t id)
{
	return fake_kinds.custom ? fake_kinds.custom(id) : NULL;
}

static const struct pa_profile_ops fake_custom_family = { .member = fake_custom_member };

const struct pa_profile_ops *const pa_profile_list[PA_PROFILE_LIST_MAX + 1] = { &pa_allocs_profile,
	&pa_block_profile, &pa_goroutine_profile, &pa_heap_profile, &pa_mutex_profile,
	&pa_cpu_profile, &pa_threadcreate_profile, &fake_custom_family, NULL };

/* SPDX-License-Identifier: Apache-2.0 */
#include "custom_table.h"

#include <stdlib.h>
#include <string.h>

#include "../base/lock.h"
#include "../base/pair_map.h"
#include "../core/core.h"
#include "../record/custom_set.h"
#include "bucket_table.h"

/* As on the recording side: shards, so that growing takes a short time. */
#define SHARDS 16

static struct {
	struct pa_pair_map maps[SHARDS]; /* group: id of the profile, number: index of the record */
	struct pa_bucket_table records;  /* key: id of the profile, in_use: values */
	uint32_t lost[PA_CUSTOM_SET_MAX]; /* values in the profile without a record */
	size_t values;
	uint64_t dropped;
	/* By id; acq_rel. */
	PA_ATOMIC(struct pa_profile_ops *) kinds[PA_CUSTOM_SET_MAX];
} state = { .records.max = PA_CUSTOM_TABLE_RECORDS };

static struct pa_pair_map *map_of(uint32_t id, uintptr_t value)
{
	return &state.maps[pa_pair_map_hash(id, value) & (SHARDS - 1)];
}

void pa_custom_table_add_locked(uint32_t id, uintptr_t value, const struct pa_stack *stack)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(id < PA_CUSTOM_SET_MAX);
	struct pa_pair_map *map = map_of(id, value);
	uint32_t old, index = pa_bucket_table_index(&state.records, stack, id);
	/* Present already: the event of its removal was lost. */
	if (pa_pair_map_take(map, id, value, &old)) {
		PA_ASSERT(state.values && pa_bucket_table_at(&state.records, old)->in_use);
		pa_bucket_table_at(&state.records, old)->in_use--;
		state.values--;
	}
	if (index == PA_BUCKET_TABLE_NONE || !pa_pair_map_put(map, id, value, index)) {
		state.lost[id]++;
		state.dropped++;
		return;
	}
	pa_bucket_table_at(&state.records, index)->in_use++;
	state.values++;
}

void pa_custom_table_remove_locked(uint32_t id, uintptr_t value)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(id < PA_CUSTOM_SET_MAX);
	uint32_t index;
	if (pa_pair_map_take(map_of(id, value), id, value, &index)) {
		PA_ASSERT(state.values && pa_bucket_table_at(&state.records, index)->in_use);
		pa_bucket_table_at(&state.records, index)->in_use--;
		state.values--;
	} else if (state.lost[id]) {
		state.lost[id]--;
	}
}

static bool has_values(const struct pa_bucket *bucket, uint32_t id)
{
	return bucket->key == id && bucket->in_use;
}

size_t pa_custom_table_count(uint32_t id)
{
	PA_ASSERT(id < PA_CUSTOM_SET_MAX);
	size_t count = state.lost[id] != 0;
	for (uint32_t i = 0; i < state.records.count; i++)
		count += has_values(pa_bucket_table_at(&state.records, i), id);
	return count;
}

static struct pa_sample sample_of(const struct pa_stack *stack, uint32_t values)
{
	PA_ASSERT(stack && values);
	return (struct pa_sample){ .stack = stack, .values = { values }, .bytes_label = -1 };
}

size_t pa_custom_table_samples(uint32_t id, struct pa_sample *out)
{
	PA_ASSERT(id < PA_CUSTOM_SET_MAX);
	size_t written = 0;
	for (uint32_t i = 0; i < state.records.count; i++) {
		const struct pa_bucket *bucket = pa_bucket_table_at(&state.records, i);
		if (has_values(bucket, id))
			out[written++] = sample_of(bucket->stack, bucket->in_use);
	}
	if (state.lost[id])
		out[written++] = sample_of(pa_stack_table_overflow(), state.lost[id]);
	return written;
}

struct pa_custom_table_stats pa_custom_table_stats(void)
{
	struct pa_custom_table_stats stats = {
		.values = state.values,
		.dropped = state.dropped,
		.table_bytes = state.records.bytes,
	};
	for (uint32_t i = 0; i < SHARDS; i++)
		stats.table_bytes += pa_pair_map_bytes(&state.maps[i]);
	return stats;
}

/* ---- the kinds ---- */

static void change_custom_locked(const struct pa_profile_ops *family, const struct pa_event *event,
	const struct pa_stack *stack)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	uint32_t id = (uint32_t)event->value[0];
	(void)family;
	if (event->kind == PA_EVENT_ADD)
		pa_custom_table_add_locked(id, event->object, stack);
	else
		pa_custom_table_remove_locked(id, event->object);
}

static void say_custom_drops(const struct pa_profile_ops *family, pa_profile_ops_say_fn *say,
	void *arg)
{
	(void)family;
	say(arg, state.dropped, "stacks of the program's profiles dropped: table full");
}

static PA_BOOT void custom_atfork_child(const struct pa_profile_ops *family, bool kept)
{
	(void)family;
	if (kept)
		return;
	pa_bucket_table_abandon(&state.records);
	memset(state.maps, 0, sizeof(state.maps));
	memset(state.lost, 0, sizeof(state.lost));
	state.values = 0;
	state.dropped = 0;
}

static size_t custom_room(const struct pa_profile_ops *kind)
{
	return pa_custom_table_count(kind->id);
}

static size_t copy_values(const struct pa_profile_ops *kind, struct pa_sample *out,
	struct pa_thread_info *threads)
{
	(void)threads;
	return pa_custom_table_samples(kind->id, out);
}

static size_t count_values(const struct pa_profile_ops *kind)
{
	return pa_load_relaxed(&pa_core_bridge->custom(kind->id)->count);
}

static struct pa_profile_ops *new_custom_kind(const struct pa_custom_set *custom)
{
	const struct pa_profile_ops made = {
		.name = custom->name,
		.description = "",
		PA_PROFILE_OPS_COUNTS(custom->name),
		.text = PA_PROFILE_OPS_TEXT_COUNT,
		.named = true,
		.room = custom_room,
		.samples = copy_values,
		.count = count_values,
		.id = custom->id,
	};
	struct pa_profile_ops *kind = malloc(sizeof(*kind));
	if (kind)
		memcpy(kind, &made, sizeof(made));
	return kind;
}

static const struct pa_profile_ops *custom_member(uint32_t id)
{
	const struct pa_custom_set *custom = pa_core_bridge->custom(id);
	if (!custom)
		return NULL;
	struct pa_profile_ops *kind = pa_load_acquire(&state.kinds[id]);
	if (kind)
		return kind;
	struct pa_profile_ops *fresh = new_custom_kind(custom);
	if (!fresh || pa_cas_acq_rel(&state.kinds[id], &kind, fresh))
		return fresh;
	free(fresh);
	return kind;
}

const struct pa_profile_ops pa_custom_profile = {
	.name = "custom",
	.events = PA_PROFILE_OPS_EVENT(PA_EVENT_ADD) | PA_PROFILE_OPS_EVENT(PA_EVENT_REMOVE),
	.add = change_custom_locked,
	.drops = say_custom_drops,
	.atfork_child = custom_atfork_child,
	.member = custom_member,
};

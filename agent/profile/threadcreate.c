/* SPDX-License-Identifier: Apache-2.0 */
#include "threadcreate.h"

#include "../base/lock.h"
#include "../core/core.h"
#include "bucket_table.h"
#include "tables_lock.h"

static struct {
	struct pa_bucket_table creators; /* count: threads created */
	struct pa_threadcreate_stats stats;
} state = { .creators.max = PA_THREADCREATE_RECORDS };

void pa_threadcreate_add_locked(const struct pa_stack *stack)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	state.stats.created++;
	uint32_t index = pa_bucket_table_index(&state.creators, stack, 0);
	if (index == PA_BUCKET_TABLE_NONE)
		state.stats.dropped++;
	else
		pa_bucket_table_at(&state.creators, index)->count++;
}

size_t pa_threadcreate_count(void)
{
	return state.creators.count;
}

void pa_threadcreate_samples(struct pa_sample *out)
{
	for (uint32_t i = 0; i < state.creators.count; i++) {
		const struct pa_bucket *bucket = pa_bucket_table_at(&state.creators, i);
		out[i] = (struct pa_sample){
			.stack = bucket->stack,
			.values = { pa_bucket_table_times(bucket->count, 1) },
			.bytes_label = -1,
		};
	}
}

struct pa_threadcreate_stats pa_threadcreate_stats(void)
{
	struct pa_threadcreate_stats stats = state.stats;
	stats.table_bytes = state.creators.bytes;
	return stats;
}

/* ---- the kind ---- */

static void add_creation_locked(const struct pa_profile_ops *kind, const struct pa_event *event,
	const struct pa_stack *stack)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	(void)kind;
	(void)event;
	pa_threadcreate_add_locked(stack);
}

static size_t creations_room(const struct pa_profile_ops *kind)
{
	(void)kind;
	return pa_threadcreate_count();
}

static size_t copy_creations(const struct pa_profile_ops *kind, struct pa_sample *out,
	struct pa_thread_info *threads)
{
	(void)kind;
	(void)threads;
	pa_threadcreate_samples(out);
	return pa_threadcreate_count();
}

/* In a forked child without the parent's losses. */
static struct pa_profile_ops_loss lost_creations(const struct pa_profile_ops *kind)
{
	uint64_t lost = pa_load_relaxed(&pa_core_bridge->counters->lost_create_ring) -
		pa_load_relaxed(&pa_core_bridge->inherited.lost_create_ring);
	(void)kind;
	return (struct pa_profile_ops_loss){ .events = lost + state.stats.dropped };
}

static void say_creation_drops(const struct pa_profile_ops *kind, pa_profile_ops_say_fn *say,
	void *arg)
{
	(void)kind;
	say(arg, state.stats.dropped, "creations of threads dropped: sample table full");
}

static size_t count_created(const struct pa_profile_ops *kind)
{
	(void)kind;
	pa_tables_lock();
	size_t count = state.stats.created;
	pa_tables_unlock();
	return count;
}

static PA_BOOT void creations_atfork_child(const struct pa_profile_ops *kind, bool kept)
{
	(void)kind;
	if (kept)
		pa_bucket_table_free(&state.creators);
	else
		pa_bucket_table_abandon(&state.creators);
	state.stats = (struct pa_threadcreate_stats){ 0 };
}

const struct pa_profile_ops pa_threadcreate_profile = {
	.name = "threadcreate",
	.description = "Stack traces that led to the creation of new OS threads",
	PA_PROFILE_OPS_COUNTS("threadcreate"),
	.text = PA_PROFILE_OPS_TEXT_COUNT,
	.named = true,
	.has_seconds = true,
	.events = PA_PROFILE_OPS_EVENT(PA_EVENT_CREATE),
	.add = add_creation_locked,
	.room = creations_room,
	.samples = copy_creations,
	.lost = lost_creations,
	.drops = say_creation_drops,
	.count = count_created,
	.atfork_child = creations_atfork_child,
};

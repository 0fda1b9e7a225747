/* SPDX-License-Identifier: Apache-2.0 */
#include "contention.h"

#include "../base/lock.h"
#include "../base/arena.h"
#include "../core/core.h"
#include "bucket_table.h"
#include "futex_waiters.h"
#include "recording.h"
#include "tables_lock.h"

struct profile {
	struct pa_bucket_table records; /* count: ns, weight: contentions */
	uint64_t dropped, dropped_ns;
};

static struct {
	/* wakes: of futexes, with the waiter's stack as the key. A table of its own: those of
	 * conditions must not take the room of locks. */
	struct profile block, mutex, wakes;
	uint64_t unknown; /* wakes without a waiter that is known */
} state = {
	.block.records.max = PA_CONTENTION_RECORDS,
	.mutex.records.max = PA_CONTENTION_RECORDS,
	.wakes.records.max = PA_CONTENTION_RECORDS,
};

static struct profile *profile_of(const struct pa_profile_ops *kind)
{
	PA_ASSERT(kind == &pa_mutex_profile || kind == &pa_block_profile);
	return kind == &pa_mutex_profile ? &state.mutex : &state.block;
}

static void add_to_records(struct profile *profile, const struct pa_stack *stack, uint64_t key,
	double contentions, uint64_t delay_ns)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(stack && contentions >= 0);
	uint32_t index = pa_bucket_table_index(&profile->records, stack, key);
	if (index == PA_BUCKET_TABLE_NONE) {
		profile->dropped++;
		profile->dropped_ns = pa_bucket_table_plus(profile->dropped_ns, delay_ns);
		return;
	}
	struct pa_bucket *bucket = pa_bucket_table_at(&profile->records, index);
	bucket->weight += contentions;
	bucket->count = pa_bucket_table_plus(bucket->count, delay_ns);
}

void pa_contention_add(const struct pa_profile_ops *kind, const struct pa_stack *stack,
	double contentions, uint64_t delay_ns)
{
	add_to_records(profile_of(kind), stack, 0, contentions, delay_ns);
}

void pa_contention_add_wake(const struct pa_stack *stack, const struct pa_stack *waiter,
	double contentions, uint64_t delay_ns)
{
	if (waiter)
		add_to_records(&state.wakes, stack, (uintptr_t)waiter, contentions, delay_ns);
	else
		state.unknown++;
}

size_t pa_contention_count(const struct pa_profile_ops *kind)
{
	PA_ASSERT(state.wakes.records.count <= PA_CONTENTION_RECORDS);
	size_t wakes = kind == &pa_mutex_profile ? state.wakes.records.count : 0;
	return profile_of(kind)->records.count + wakes;
}

static const struct pa_stack *waiter_of_bucket(const struct pa_bucket *bucket)
{
	return (const struct pa_stack *)(uintptr_t)bucket->key;
}

static bool may_be_lock_waiter(const struct pa_stack *waiter)
{
	uint8_t kind = pa_load_relaxed(&waiter->futex_kind);
	return kind == PA_FUTEX_UNDECIDED || kind == PA_FUTEX_LOCK;
}

/* Stacks that are in more than one record count once: seen has a bit for each stack. */
static size_t count_lock_wakers(const struct pa_bucket_table *wakes, uint8_t *seen)
{
	size_t count = 0;
	for (uint32_t i = 0; i < wakes->count; i++) {
		const struct pa_bucket *bucket = pa_bucket_table_at(wakes, i);
		uint8_t *byte = &seen[bucket->stack->id / 8];
		uint8_t bit = (uint8_t)(1u << bucket->stack->id % 8);
		if (*byte & bit || !may_be_lock_waiter(waiter_of_bucket(bucket)))
			continue;
		*byte |= bit;
		count++;
	}
	return count;
}

size_t pa_contention_shown(const struct pa_profile_ops *kind)
{
	const struct pa_bucket_table *wakes = &state.wakes.records;
	size_t count = profile_of(kind)->records.count;
	if (kind != &pa_mutex_profile || !wakes->count)
		return count;
	size_t bytes = pa_stack_table_stats().stacks / 8 + 1;
	uint8_t *seen = pa_map(bytes);
	if (seen)
		count += count_lock_wakers(wakes, seen);
	pa_unmap(seen, bytes);
	return count;
}

static int64_t whole_count(double contentions)
{
	return contentions >= 0x1p63 ? INT64_MAX : (int64_t)contentions;
}

static struct pa_sample *write_records(const struct pa_bucket_table *records, struct pa_sample *out)
{
	for (uint32_t i = 0; i < records->count; i++) {
		const struct pa_bucket *bucket = pa_bucket_table_at(records, i);
		*out++ = (struct pa_sample){
			.stack = bucket->stack,
			.values = { whole_count(bucket->weight),
				pa_bucket_table_times(bucket->count, 1) },
			.bytes_label = -1,
			.waiter = waiter_of_bucket(bucket),
		};
	}
	return out;
}

void pa_contention_samples(const struct pa_profile_ops *kind, struct pa_sample *out)
{
	out = write_records(&profile_of(kind)->records, out);
	if (kind == &pa_mutex_profile)
		write_records(&state.wakes.records, out);
}

struct pa_contention_stats pa_contention_stats(const struct pa_profile_ops *kind)
{
	const struct profile *profile = profile_of(kind);
	return (struct pa_contention_stats){
		.dropped = profile->dropped,
		.dropped_ns = profile->dropped_ns,
		.wakes_dropped = state.wakes.dropped,
		.wakes_unknown = state.unknown,
		.table_bytes = state.block.records.bytes + state.mutex.records.bytes +
			state.wakes.records.bytes,
	};
}

static void forget_records(struct profile *profile, bool kept)
{
	if (kept)
		pa_bucket_table_free(&profile->records);
	else
		pa_bucket_table_abandon(&profile->records);
	profile->dropped = profile->dropped_ns = 0;
}

/* ---- the kinds ---- */

static double contentions_of(const struct pa_event *event)
{
	return (double)event->contentions.count / (double)event->contentions.of;
}

static void add_contention(const struct pa_profile_ops *kind, const struct pa_event *event,
	const struct pa_stack *stack)
{
	pa_contention_add(kind, stack, contentions_of(event), event->value[0]);
}

static void add_to_mutex(const struct pa_profile_ops *kind, const struct pa_event *event,
	const struct pa_stack *stack)
{
	if (event->kind == PA_EVENT_WAITER)
		pa_futex_waiters_put(event->object, stack);
	else if (event->kind == PA_EVENT_WAKE)
		pa_contention_add_wake(stack, pa_futex_waiters_find(event->object),
			contentions_of(event), event->value[0]);
	else
		add_contention(kind, event, stack);
}

static size_t count_contentions(const struct pa_profile_ops *kind)
{
	pa_tables_lock();
	size_t count = pa_contention_shown(kind);
	pa_tables_unlock();
	return count;
}

static size_t copy_contentions(const struct pa_profile_ops *kind, struct pa_sample *out,
	struct pa_thread_info *threads)
{
	(void)threads;
	pa_contention_samples(kind, out);
	return pa_contention_count(kind);
}

/* In a forked child without the parent's losses. */
static struct pa_profile_ops_loss lost_contentions(const struct pa_profile_ops *kind,
	const PA_ATOMIC(uint64_t) *events, const PA_ATOMIC(uint64_t) *ns,
	const PA_ATOMIC(uint64_t) *parents_events, const PA_ATOMIC(uint64_t) *parents_ns)
{
	const struct profile *profile = profile_of(kind);
	uint64_t lost_ns = pa_load_relaxed(ns) - pa_load_relaxed(parents_ns);
	return (struct pa_profile_ops_loss){
		.events = pa_load_relaxed(events) - pa_load_relaxed(parents_events) +
			profile->dropped,
		.amount = pa_bucket_table_plus(lost_ns, profile->dropped_ns),
	};
}

static struct pa_profile_ops_loss lost_blocks(const struct pa_profile_ops *kind)
{
	const struct pa_counters *counters = pa_core_bridge->counters;
	const struct pa_counters *parents = &pa_core_bridge->inherited;
	return lost_contentions(kind, &counters->lost_block_ring, &counters->ns_of_lost_blocks,
		&parents->lost_block_ring, &parents->ns_of_lost_blocks);
}

static struct pa_profile_ops_loss lost_mutexes(const struct pa_profile_ops *kind)
{
	const struct pa_counters *counters = pa_core_bridge->counters;
	const struct pa_counters *parents = &pa_core_bridge->inherited;
	return lost_contentions(kind, &counters->lost_mutex_ring, &counters->ns_of_lost_mutexes,
		&parents->lost_mutex_ring, &parents->ns_of_lost_mutexes);
}

static void say_block_drops(const struct pa_profile_ops *kind, pa_profile_ops_say_fn *say,
	void *arg)
{
	say(arg, profile_of(kind)->dropped, "waits dropped: sample table full");
}

static void say_mutex_drops(const struct pa_profile_ops *kind, pa_profile_ops_say_fn *say,
	void *arg)
{
	say(arg, profile_of(kind)->dropped,
		"contended critical sections dropped: sample table full");
	say(arg, state.wakes.dropped, "wakes of futexes dropped: sample table full");
	say(arg, state.unknown, "wakes of futexes dropped: waiter not known");
}

static void fill_mutex_head(const struct pa_profile_ops *kind, struct pa_snapshot *snapshot,
	int64_t end_ns)
{
	(void)kind;
	(void)end_ns;
	snapshot->fraction = pa_bucket_table_times(pa_recording_mutex_fraction(), 1);
}

static void watch_contention(const struct pa_profile_ops *kind, bool sampled, bool on)
{
	pa_recording_watch(kind == &pa_mutex_profile ? PA_RECORDING_MUTEX : PA_RECORDING_BLOCK,
		sampled, on);
}

/* The records are those of the parent's threads. */
static PA_BOOT void contention_atfork_child(const struct pa_profile_ops *kind, bool kept)
{
	forget_records(profile_of(kind), kept);
	if (kind != &pa_mutex_profile)
		return;
	forget_records(&state.wakes, kept);
	state.unknown = 0;
	pa_futex_waiters_atfork_child();
}

/* Number and total duration. */
#define CONTENTION_KIND                                                                         \
	.value_count = 2, .values = { { "contentions", "count" }, { "delay", "nanoseconds" } }, \
	.period_type = { "contentions", "count" }, .named = true, .has_seconds = true,          \
	.has_delta_clients = true, .room = pa_contention_count, .samples = copy_contentions,    \
	.count = count_contentions, .watch = watch_contention,                                  \
	.atfork_child = contention_atfork_child

const struct pa_profile_ops pa_block_profile = {
	.name = "block",
	.description = "Stack traces that led to blocking on synchronization primitives",
	CONTENTION_KIND,
	.text = PA_PROFILE_OPS_TEXT_BLOCK,
	.events = PA_PROFILE_OPS_EVENT(PA_EVENT_BLOCK),
	.add = add_contention,
	.lost = lost_blocks,
	.drops = say_block_drops,
};

const struct pa_profile_ops pa_mutex_profile = {
	.name = "mutex",
	.description = "Stack traces of holders of contended mutexes",
	CONTENTION_KIND,
	.text = PA_PROFILE_OPS_TEXT_MUTEX,
	.events = PA_PROFILE_OPS_EVENT(PA_EVENT_MUTEX) | PA_PROFILE_OPS_EVENT(PA_EVENT_WAITER) |
		PA_PROFILE_OPS_EVENT(PA_EVENT_WAKE),
	.add = add_to_mutex,
	.head = fill_mutex_head,
	.lost = lost_mutexes,
	.drops = say_mutex_drops,
};

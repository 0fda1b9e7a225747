/* SPDX-License-Identifier: Apache-2.0 */
#include "heap.h"

#include <string.h>

#include "../base/lock.h"
#include "../core/core.h"
#include "../record/inner_alloc.h"
#include "allocator_hooks.h"
#include "allocator_notes.h"
#include "heap_scale.h"
#include "size_classes.h"
#include "tables_lock.h"

#define PENDING_REALLOCS 64

/* Instead of a bucket: the object was not kept. */
#define UNKEPT (PA_BUCKET_TABLE_NONE - 1)

/* Bucket of a freed object, kept until a realloc that may fail has returned; PA_BUCKET_TABLE_NONE:
 * unknown. */
struct pending_realloc {
	uintptr_t object;
	uint32_t bucket;
};

static struct {
	struct pa_bucket_table buckets;
	struct pending_realloc pending[PENDING_REALLOCS];
	unsigned pending_next;
	bool hooked; /* frees of marked objects are seen */
	struct pa_heap_stats stats;
} state = { .buckets.max = PA_HEAP_BUCKETS };

/* In alloc_counts.h, of a bucket. */
static bool has_bucket_number(uint32_t bucket)
{
	return bucket < PA_ALLOC_COUNTS_NUMBERS;
}

static uint32_t bucket_number(uint32_t bucket)
{
	return bucket + 1;
}

static uint64_t estimate_of(uint64_t size)
{
	int64_t count, bytes;
	pa_heap_scale_estimate(1, (int64_t)size, (int64_t)pa_core_bridge->settings->heap_rate_bytes,
		0, &count, &bytes);
	return (uint64_t)bytes;
}

static void enter_use(uint32_t index)
{
	PA_ASSERT(index < state.buckets.count);
	struct pa_bucket *bucket = pa_bucket_table_at(&state.buckets, index);
	uint64_t size = pa_size_classes_size(bucket);
	bucket->in_use++;
	state.stats.live_objects++;
	state.stats.live_bytes += size;
	state.stats.live_estimate_bytes += estimate_of(size);
}

static void leave_use(uint32_t index)
{
	struct pa_bucket *bucket = pa_bucket_table_at(&state.buckets, index);
	uint64_t size = pa_size_classes_size(bucket);
	PA_ASSERT(bucket->in_use && state.stats.live_bytes >= size);
	bucket->in_use--;
	state.stats.live_objects--;
	state.stats.live_bytes -= size;
	state.stats.live_estimate_bytes -= estimate_of(size);
}

static void miss_free(uint32_t bucket)
{
	PA_ASSERT(bucket < state.buckets.count);
	leave_use(bucket);
	state.stats.frees_missed++;
}

static void count_unkept(uint64_t size)
{
	state.stats.unkept_objects++;
	state.stats.unkept_bytes = pa_bucket_table_plus(state.stats.unkept_bytes, size);
}

static void keep_live(uintptr_t object, uint32_t bucket)
{
	uint32_t old;
	switch (pa_live_objects_put_locked(object, bucket, &old)) {
	case PA_LIVE_OBJECTS_FULL:
		state.stats.live_dropped++;
		count_unkept(pa_size_classes_size(pa_bucket_table_at(&state.buckets, bucket)));
		return;
	case PA_LIVE_OBJECTS_REPLACED: miss_free(old); break;
	case PA_LIVE_OBJECTS_ADDED: break;
	}
	enter_use(bucket);
}

/* Without an object the hooks count the frees, which they recognize at rate 1 only. */
static bool has_frees(uintptr_t object)
{
	return object || pa_core_bridge->settings->heap_rate_bytes <= 1;
}

uint32_t pa_heap_alloc_locked(const struct pa_stack *stack, uint64_t size, uintptr_t object)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	uint32_t bucket = pa_size_classes_count(&state.buckets, stack, size);
	uint32_t old;

	state.stats.objects++;
	state.stats.bytes += size;
	if (bucket == PA_BUCKET_TABLE_NONE) {
		state.stats.dropped_objects++;
		state.stats.dropped_bytes += size;
	}
	if (object && bucket != PA_BUCKET_TABLE_NONE) {
		/* One that a hook reported while it was being taken out is not freed visibly. */
		if (state.hooked || !(object & PA_INNER_ALLOC_MARK))
			keep_live(object, bucket);
		return bucket;
	}
	if (has_frees(object))
		count_unkept(size);
	if (object && pa_live_objects_take_locked(object, &old))
		miss_free(old);
	return bucket;
}

void pa_heap_free_locked(uintptr_t object)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	uint32_t bucket = PA_BUCKET_TABLE_NONE;
	if (pa_live_objects_take_locked(object, &bucket))
		leave_use(bucket);
	else if (state.stats.unkept_freed < state.stats.unkept_objects) {
		state.stats.unkept_freed++;
		bucket = UNKEPT;
	} else
		state.stats.frees_unknown++;
	/* Also for unknown objects: otherwise a revive would find an older object of the same
	 * address. */
	state.pending[state.pending_next++ % PENDING_REALLOCS] =
		(struct pending_realloc){ object, bucket };
}

/*
 * What the hooks counted of one bucket. A forked child may have a free without its allocation: the
 * pages of the copy are of different times.
 */
static void add_counts(struct pa_bucket *bucket, struct pa_alloc_counts_taken taken)
{
	int64_t more = taken.made - taken.freed;
	if (more < -(int64_t)bucket->in_use) {
		state.stats.frees_unknown += (uint64_t)(-(int64_t)bucket->in_use - more);
		more = -(int64_t)bucket->in_use;
	}
	bucket->count += (uint64_t)taken.made;
	bucket->in_use += (uint32_t)more;
	state.stats.objects += (uint64_t)taken.made;
	state.stats.bytes += (uint64_t)taken.made * bucket->key;
	state.stats.live_objects += (uint64_t)more;
	state.stats.live_bytes += (uint64_t)more * bucket->key;
	state.stats.live_estimate_bytes += (uint64_t)more * estimate_of(bucket->key);
	pa_add_relaxed(&pa_core_bridge->counters->alloc_events, (uint64_t)taken.made);
	pa_add_relaxed(&pa_core_bridge->counters->free_events, (uint64_t)taken.freed);
}

static void take_counts_locked(void)
{
	struct pa_alloc_counts *counts = pa_core_bridge->alloc_counts;
	if (!counts)
		return;
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	for (uint32_t i = 0; i < state.buckets.count && has_bucket_number(i); i++) {
		struct pa_alloc_counts_taken taken = pa_alloc_counts_take(counts, bucket_number(i));
		if (taken.made || taken.freed)
			add_counts(pa_bucket_table_at(&state.buckets, i), taken);
	}
	state.stats.frees_missed += pa_alloc_counts_take_missed(counts);
}

static struct pending_realloc *find_pending_realloc(uintptr_t object)
{
	for (unsigned age = 1; age <= PENDING_REALLOCS; age++) {
		struct pending_realloc *pending =
			&state.pending[(state.pending_next - age) % PENDING_REALLOCS];
		if (pending->object == object)
			return pending;
	}
	return NULL;
}

void pa_heap_revive_locked(uintptr_t object)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	/* The free event was lost, so there is nothing to undo. */
	if (pa_live_objects_has(object))
		return;
	struct pending_realloc *pending = find_pending_realloc(object);
	if (!pending || pending->bucket == PA_BUCKET_TABLE_NONE) {
		state.stats.revives_unknown++;
		return;
	}
	if (pending->bucket == UNKEPT)
		state.stats.unkept_freed--;
	else
		keep_live(object, pending->bucket);
	pending->object = 0;
}

void pa_heap_hooked(bool on)
{
	pa_tables_lock();
	pa_live_objects_drop_marked_locked(leave_use);
	state.hooked = on;
	pa_tables_unlock();
}

size_t pa_heap_count(void)
{
	return state.buckets.count;
}

size_t pa_heap_samples(struct pa_sample *out)
{
	for (uint32_t i = 0; i < state.buckets.count; i++) {
		const struct pa_bucket *bucket = pa_bucket_table_at(&state.buckets, i);
		out[i] = (struct pa_sample){
			.stack = bucket->stack,
			.bytes_label = (int64_t)pa_size_classes_size(bucket),
		};
		pa_size_classes_values(bucket, out[i].values);
	}
	return state.buckets.count;
}

struct pa_heap_stats pa_heap_stats_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	take_counts_locked();
	struct pa_heap_stats stats = state.stats;
	stats.table_bytes = state.buckets.bytes + pa_live_objects_stats().bytes;
	return stats;
}

void pa_heap_abandon(void)
{
	pa_bucket_table_abandon(&state.buckets);
	memset(state.pending, 0, sizeof(state.pending));
	state.stats = (struct pa_heap_stats){ 0 };
	pa_live_objects_abandon();
}

/* ---- the kinds ---- */

/* Interned again the same pcs give this stack, unless a module is forgotten: all of them are in
 * files. A cut stack ends in a pseudo location. */
static bool is_of_files(const struct pa_stack *stack, bool cut)
{
	for (uint32_t i = 0; i + cut < stack->depth; i++) {
		const struct pa_module *module = pa_stack_table_loc(stack->locs[i])->module;
		if (!module || pa_maps_is_loose(module))
			return false;
	}
	return true;
}

/* Further allocations of this stack and size are counted by the hooks, but for those of a class,
 * which needs their sizes. */
static void publish_bucket(const struct pa_event *event, const struct pa_stack *stack,
	uint32_t bucket)
{
	struct pa_alloc_counts *counts = pa_core_bridge->alloc_counts;
	bool cut = event->flags & PA_EVENT_CUT;
	if (!counts || event->flags & ~PA_EVENT_CUT || event->object & PA_INNER_ALLOC_MARK ||
		event->depth > PA_ALLOC_COUNTS_DEPTH || !has_bucket_number(bucket) ||
		pa_size_classes_is_class(pa_bucket_table_at(&state.buckets, bucket)) ||
		!is_of_files(stack, cut))
		return;
	struct pa_alloc_counts_key key = pa_alloc_counts_key(counts, pa_event_pcs(event),
		event->depth, cut, event->value[0], (uint32_t)event->value[1]);
	pa_alloc_counts_publish(counts, key, bucket_number(bucket));
}

void pa_heap_module_forgotten(void)
{
	if (pa_core_bridge->alloc_counts)
		pa_alloc_counts_forget_keys(pa_core_bridge->alloc_counts);
}

static void add_heap_event_locked(const struct pa_profile_ops *kind, const struct pa_event *event,
	const struct pa_stack *stack)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	(void)kind;
	if (event->kind == PA_EVENT_ALLOC)
		publish_bucket(event, stack,
			pa_heap_alloc_locked(stack, event->value[0], event->object));
	else if (event->kind == PA_EVENT_FREE)
		pa_heap_free_locked(event->object);
	else
		pa_heap_revive_locked(event->object);
}

static size_t heap_room(const struct pa_profile_ops *kind)
{
	(void)kind;
	return pa_heap_count();
}

static size_t count_buckets(const struct pa_profile_ops *kind)
{
	(void)kind;
	pa_tables_lock();
	size_t count = pa_heap_count();
	pa_tables_unlock();
	return count;
}

static size_t copy_buckets(const struct pa_profile_ops *kind, struct pa_sample *out,
	struct pa_thread_info *threads)
{
	(void)kind;
	(void)threads;
	pa_tables_lock();
	take_counts_locked();
	pa_tables_unlock();
	return pa_heap_samples(out);
}

static void fill_heap_head(const struct pa_profile_ops *kind, struct pa_snapshot *snapshot,
	int64_t end_ns)
{
	(void)kind;
	(void)end_ns;
	snapshot->period = (int64_t)pa_core_bridge->settings->heap_rate_bytes;
}

/*
 * Allocations without a bucket or without an event; in use: those and what was not kept, less the
 * frees that came for them, of the mean size. The hooks count meanwhile, and take frees of objects
 * from before the boot for these: there may be more frees than objects.
 */
static struct pa_profile_ops_loss lost_allocations(const struct pa_profile_ops *kind)
{
	const struct pa_counters *counters = pa_core_bridge->counters;
	const struct pa_heap_stats *stats = &state.stats;
	uint64_t freed = pa_load_relaxed(&counters->frees_of_lost) + stats->unkept_freed;
	uint64_t unseen = pa_load_relaxed(&counters->lost_alloc_ring);
	uint64_t unseen_bytes = pa_load_relaxed(&counters->bytes_of_lost_allocs);
	uint64_t made = unseen + stats->unkept_objects;
	uint64_t in_use = made > freed ? made - freed : 0;
	double bytes = (double)unseen_bytes + (double)stats->unkept_bytes;
	(void)kind;
	return (struct pa_profile_ops_loss){
		.events = stats->dropped_objects + unseen,
		.amount = pa_bucket_table_plus(stats->dropped_bytes, unseen_bytes),
		.in_use = in_use,
		.in_use_bytes = made ? (uint64_t)(bytes / (double)made * (double)in_use) : 0,
		.sized = true,
	};
}

static void say_heap_drops(const struct pa_profile_ops *kind, pa_profile_ops_say_fn *say, void *arg)
{
	(void)kind;
	say(arg, state.stats.dropped_objects, "allocations dropped: bucket table full");
	say(arg, state.stats.live_dropped, "allocations not seen in use: live-object table full");
	say(arg, state.stats.frees_missed, "frees dropped: found when the address came again");
	say(arg, state.stats.revives_unknown, "objects taken for freed: realloc failed");
}

static PA_BOOT void heap_atfork_child(const struct pa_profile_ops *kind, bool kept)
{
	(void)kind;
	if (!kept)
		pa_heap_abandon();
}

/* Watches that last for minutes do not use the hooks of an allocator, which slow the program down:
 * the setting does that. */
static void watch_heap(const struct pa_profile_ops *kind, bool sampled, bool on)
{
	(void)kind;
	if (!sampled)
		pa_allocator_hooks_watch(on);
}

static void note_heap(const struct pa_profile_ops *kind, pa_profile_ops_note_fn *note, void *arg)
{
	(void)kind;
	pa_allocator_notes(note, arg);
	if (pa_size_classes_used(&state.buckets))
		note(arg,
			"blocks of very many sizes: new sizes are counted in classes, and their "
			"bytes in use by the mean of the class");
}

/* Go's order: clients address values by position as well as by name. */
#define HEAP_KIND \
	.value_count = 4,                                                                         \
	.values = {                                                                               \
		{ "alloc_objects", "count" },                                                     \
		{ "alloc_space", "bytes" },                                                       \
		{ "inuse_objects", "count" },                                                     \
		{ "inuse_space", "bytes" },                                                       \
	},                                                                                        \
	.period_type = { "space", "bytes" }, .text = PA_PROFILE_OPS_TEXT_HEAP, .named = true,     \
	.has_seconds = true, .scaled = true, .levels = 1 << 2 | 1 << 3, .room = heap_room,        \
	.samples = copy_buckets, .head = fill_heap_head, .lost = lost_allocations,                \
	.count = count_buckets, .watch = watch_heap, .notes = note_heap

const struct pa_profile_ops pa_heap_profile = {
	.name = "heap",
	.description = "A sampling of memory allocations of live objects. "
		       "You can specify the gc GET parameter to run GC before taking the "
		       "heap sample.",
	HEAP_KIND,
	.has_delta_clients = true,
	.trims = true,
	.events = PA_PROFILE_OPS_EVENT(PA_EVENT_ALLOC) | PA_PROFILE_OPS_EVENT(PA_EVENT_FREE) |
		PA_PROFILE_OPS_EVENT(PA_EVENT_REVIVE),
	.add = add_heap_event_locked,
	.drops = say_heap_drops,
	.atfork_child = heap_atfork_child,
};

const struct pa_profile_ops pa_allocs_profile = {
	.name = "allocs",
	.description = "A sampling of all past memory allocations",
	.default_sample_type = "alloc_space",
	HEAP_KIND,
};

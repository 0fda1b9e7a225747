/* SPDX-License-Identifier: Apache-2.0 */
#include "custom_set.h"

#include <errno.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/pair_map.h"
#include "../base/utf8.h"
#include "switches.h"
#include "profile_names.h"
#include "registry.h"
#include "sample.h"

#include "../base/banned.h"

/* Values are distributed over maps with a lock each: little contention, and doubling a map holds
 * its lock for at most 64 Ki values. */
#define SHARDS 16

/*
 * Longest wait of one event for room in the ring, and the time without further waits after an
 * unsuccessful one. Longer than for an allocation: threads that add values can fill the ring faster
 * than the collector reads it, and a value that is not added is an error that the program sees.
 */
#define TIMEOUT_NS (2 * PA_NS_PER_S)
#define PAUSE_NS PA_NS_PER_S

struct shard {
	struct pa_lock lock;
	struct pa_pair_map map; /* group: id of the profile */
	/* The value being added or removed, for a child forked at that moment. */
	struct {
		uint32_t id;
		uintptr_t value;
		PA_ATOMIC(uint32_t) set; /* release; a forked child reads the fields stored
					  * before */
	} change;
};

static PA_LARGE_DATA struct {
	struct pa_lock lock;                   /* guards creation */
	PA_ATOMIC(uint32_t) total;             /* profiles; release in new, acquire in total */
	PA_ATOMIC(uint32_t) values;            /* in all profiles; relaxed */
	PA_ATOMIC(int64_t) wait_not_before_ns; /* relaxed: a hint */
	struct pa_custom_set profiles[PA_CUSTOM_SET_MAX];
	struct shard shards[SHARDS];
} state = {
	.lock = PA_LOCK_INIT(PA_LOCK_CUSTOM),
	.shards = { [0 ... SHARDS - 1] = { .lock = PA_LOCK_INIT(PA_LOCK_CUSTOM) } },
};

/* ---- profiles ---- */

/* Names below /debug/pprof/ that a user-defined profile cannot have. */
#define NAMES_OTHER(name)
#define NAMES_NAMED(name) #name,
#define NAMES_DELTA(name) #name, "delta_" #name,
#define X(name, how) NAMES_##how(name)
static const char *const built_in[] = { "agent", "cmdline", "profile", "symbol", "trace", "ui",
	"ui.css", "ui.js", PA_PROFILE_NAMES(X) };
#undef X

static bool is_same_name(const char *a, const char *b)
{
	size_t length = strlen(a);
	return length == strlen(b) && memcmp(a, b, length) == 0;
}

static bool is_built_in(const char *name)
{
	for (size_t i = 0; i < PA_COUNT(built_in); i++) {
		if (is_same_name(built_in[i], name))
			return true;
	}
	return false;
}

/* The name appears in URLs, headers and profile strings, which must be UTF-8. */
static bool is_name_good(const char *name)
{
	size_t length = 0;
	while (length < PA_CUSTOM_SET_NAME_BYTES && name[length]) {
		size_t bytes = pa_utf8_char(name + length, SIZE_MAX, true);
		if (!bytes)
			return false;
		length += bytes;
	}
	return length && length < PA_CUSTOM_SET_NAME_BYTES;
}

static int create_locked(const char *name, struct pa_custom_set **out)
{
	PA_ASSERT_HELD(PA_LOCK_CUSTOM);
	uint32_t id = pa_load_relaxed(&state.total);
	if (is_built_in(name) || pa_custom_set_find(name))
		return -EEXIST;
	if (id == PA_CUSTOM_SET_MAX)
		return -ENOSPC;
	struct pa_custom_set *custom = &state.profiles[id];
	custom->id = id;
	memcpy(custom->name, name, strlen(name) + 1);
	pa_store_release(&state.total, id + 1);
	*out = custom;
	return 0;
}

int pa_custom_set_new(const char *name, struct pa_custom_set **out)
{
	PA_ASSERT_PROGRAM();
	if (!is_name_good(name))
		return -EINVAL;
	pa_lock(&state.lock);
	int error = create_locked(name, out);
	pa_unlock(&state.lock);
	return error;
}

struct pa_custom_set *pa_custom_set_find(const char *name)
{
	uint32_t total = pa_custom_set_total();
	for (uint32_t id = 0; id < total; id++) {
		if (is_same_name(state.profiles[id].name, name))
			return &state.profiles[id];
	}
	return NULL;
}

struct pa_custom_set *pa_custom_set_get(uint32_t id)
{
	return id < pa_custom_set_total() ? &state.profiles[id] : NULL;
}

uint32_t pa_custom_set_total(void)
{
	return pa_load_acquire(&state.total);
}

/* ---- values ---- */

static struct shard *custom_shard_of(const struct pa_custom_set *custom, uintptr_t value)
{
	return &state.shards[pa_pair_map_hash(custom->id, value) & (SHARDS - 1)];
}

static struct pa_event custom_event_of(enum pa_event_kind kind, const struct pa_thread *thread,
	uint32_t id, uintptr_t value)
{
	return (struct pa_event){
		.kind = (uint8_t)kind,
		.tid = thread->tid,
		.time_ns = pa_clock_mono_ns(),
		.value = { id },
		.object = value,
	};
}

/* True: try again, which may fail, since other threads take the room too. event: time of the first
 * try. */
static bool wait_room(const struct pa_event *event)
{
	int64_t now_ns = pa_clock_mono_ns(), until_ns = event->time_ns + TIMEOUT_NS;
	size_t bytes = sizeof(*event) + pa_record.stack_depth * sizeof(uintptr_t);
	if (now_ns < pa_load_relaxed(&state.wait_not_before_ns))
		return false;
	if (now_ns < until_ns && pa_ring_wait_room(pa_record.ring, bytes, until_ns - now_ns))
		return true;
	pa_store_relaxed(&state.wait_not_before_ns, pa_clock_mono_ns() + PAUSE_NS);
	return false;
}

static bool record_add(const struct pa_event *event, const struct pa_thread *thread,
	struct pa_cursor from)
{
	bool recorded = pa_sample_stack(event, thread, from, NULL, true);
	/* Ends: wait_room returns false TIMEOUT_NS after the event. */
	while (!recorded && wait_room(event))
		recorded = pa_sample_stack(event, thread, from, NULL, false);
	if (!recorded)
		PA_COUNT_EVENT(lost_custom_ring);
	return recorded;
}

static void record_remove(const struct pa_event *event)
{
	bool recorded = pa_sample_plain(event, NULL, 0);
	while (!recorded && wait_room(event))
		recorded = pa_sample_plain(event, NULL, 0);
	if (!recorded)
		PA_COUNT_EVENT(lost_custom_ring);
}

static void begin_change(struct shard *shard, uint32_t id, uintptr_t value)
{
	PA_ASSERT_HELD(PA_LOCK_CUSTOM);
	PA_ASSERT(!pa_load_relaxed(&shard->change.set));
	shard->change.id = id;
	shard->change.value = value;
	pa_store_release(&shard->change.set, 1);
}

static void end_change(struct shard *shard)
{
	PA_ASSERT(pa_load_relaxed(&shard->change.set));
	pa_store_release(&shard->change.set, 0);
}

/* False: PA_CUSTOM_SET_VALUES reached, or no memory. */
static bool put_value(struct shard *shard, uint32_t id, uintptr_t value)
{
	PA_ASSERT_HELD(PA_LOCK_CUSTOM);
	if (pa_add_relaxed(&state.values, 1) < PA_CUSTOM_SET_VALUES &&
		pa_pair_map_put(&shard->map, id, value, 0))
		return true;
	pa_sub_relaxed(&state.values, 1);
	return false;
}

static bool take_value(struct shard *shard, uint32_t id, uintptr_t value)
{
	PA_ASSERT_HELD(PA_LOCK_CUSTOM);
	if (!pa_pair_map_take(&shard->map, id, value, NULL))
		return false;
	pa_sub_relaxed(&state.values, 1);
	return true;
}

/* Holds the lock until the event is in the ring: events of one value have the order of the
 * operations. */
static int add_value_locked(struct shard *shard, struct pa_thread *thread,
	struct pa_custom_set *custom, const struct pa_event *event, struct pa_cursor from)
{
	PA_ASSERT_HELD(PA_LOCK_CUSTOM);
	PA_ASSERT(event->kind == PA_EVENT_ADD);
	int error = 0;
	if (pa_pair_map_find(&shard->map, custom->id, event->object))
		return -EEXIST;
	begin_change(shard, custom->id, event->object);
	if (!put_value(shard, custom->id, event->object)) {
		error = -ENOMEM;
	} else if (!record_add(event, thread, from)) {
		take_value(shard, custom->id, event->object);
		error = -ENOMEM;
	} else {
		pa_add_relaxed(&custom->count, 1);
	}
	end_change(shard);
	return error;
}

int pa_custom_set_add(struct pa_thread *thread, struct pa_custom_set *custom, const void *value,
	int skip, struct pa_cursor from)
{
	PA_ASSERT_PROGRAM();
	PA_ASSERT(custom->id < pa_custom_set_total());
	int saved_errno = errno;
	struct shard *shard = custom_shard_of(custom, (uintptr_t)value);
	thread->depth++;
	if (pa_unlikely(!thread->registered))
		pa_registry_add(thread);
	pa_lock(&shard->lock);
	struct pa_event event = custom_event_of(PA_EVENT_ADD, thread, custom->id, (uintptr_t)value);
	event.skip = skip > 0 ? (uint32_t)skip : 0;
	int error = add_value_locked(shard, thread, custom, &event, from);
	pa_unlock(&shard->lock);
	thread->depth--;
	errno = saved_errno;
	return error;
}

static bool remove_locked(struct shard *shard, struct pa_custom_set *custom,
	const struct pa_event *event)
{
	PA_ASSERT_HELD(PA_LOCK_CUSTOM);
	PA_ASSERT(event->kind == PA_EVENT_REMOVE);
	begin_change(shard, custom->id, event->object);
	bool was_in = take_value(shard, custom->id, event->object);
	if (was_in) {
		PA_ASSERT(pa_load_relaxed(&custom->count));
		pa_sub_relaxed(&custom->count, 1);
		record_remove(event);
	}
	end_change(shard);
	return was_in;
}

bool pa_custom_set_remove(struct pa_thread *thread, struct pa_custom_set *custom, const void *value)
{
	PA_ASSERT_PROGRAM();
	PA_ASSERT(custom->id < pa_custom_set_total());
	int saved_errno = errno;
	struct shard *shard = custom_shard_of(custom, (uintptr_t)value);
	thread->depth++;
	if (pa_unlikely(!thread->registered))
		pa_registry_add(thread);
	pa_lock(&shard->lock);
	struct pa_event event =
		custom_event_of(PA_EVENT_REMOVE, thread, custom->id, (uintptr_t)value);
	bool was_in = remove_locked(shard, custom, &event);
	pa_unlock(&shard->lock);
	thread->depth--;
	errno = saved_errno;
	return was_in;
}

/* ---- fork ---- */

/* The thread that was changing the map does not exist in the child: its value is removed, whether
 * it was being added or removed and whether its event was written or not. */
static void mend_shard(struct shard *shard)
{
	pa_pair_map_mend(&shard->map);
	if (!pa_load_acquire(&shard->change.set))
		return;
	struct pa_event event = custom_event_of(PA_EVENT_REMOVE, &pa_thread_self, shard->change.id,
		shard->change.value);
	pa_pair_map_take(&shard->map, shard->change.id, shard->change.value, NULL);
	pa_sample_plain(&event, NULL, 0);
	end_change(shard);
}

static void count_anew(void)
{
	uint32_t counts[PA_CUSTOM_SET_MAX] = { 0 }, sum = 0;
	for (uint32_t i = 0; i < SHARDS; i++)
		pa_pair_map_count(&state.shards[i].map, counts, PA_CUSTOM_SET_MAX);
	for (uint32_t id = 0; id < PA_CUSTOM_SET_MAX; id++) {
		pa_store_relaxed(&state.profiles[id].count, counts[id]);
		sum += counts[id];
	}
	pa_store_relaxed(&state.values, sum);
}

void pa_custom_set_atfork_child(void)
{
	bool torn = false;
	pa_lock_reset(&state.lock);
	for (uint32_t i = 0; i < SHARDS; i++) {
		struct shard *shard = &state.shards[i];
		if (pa_load_acquire(&shard->lock.word)) {
			mend_shard(shard);
			torn = true;
		}
		pa_lock_reset(&shard->lock);
	}
	if (torn)
		count_anew();
}

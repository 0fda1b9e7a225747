#include "custom.h"

#include <errno.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/pairmap.h"
#include "../base/utf8.h"
#include "on.h"
#include "sample.h"

#include "../base/banned.h"

/* Values are cut into maps with a lock each, so that threads rarely meet in one, and no growing map
 * keeps one for long: at most 64 Ki values are moved. */
#define SHARD_BITS 4
#define SHARDS (1u << SHARD_BITS)

/*
 * How long one event waits for room, and for how long nobody waits after it was in vain. Longer
 * than an allocation would: who adds values from many threads at once can fill the ring faster than
 * it is read, and a value that is not in is an error that the program sees.
 */
#define PATIENCE_NS (2 * PA_NS_PER_S)
#define PAUSE_NS PA_NS_PER_S

struct shard {
	struct pa_lock lock;
	struct pa_pairmap map; /* group: id of the profile */
	/* The value that is being put in or taken out, for a child that is forked meanwhile. */
	struct {
		uint32_t id;
		uintptr_t value;
		PA_ATOMIC(uint32_t) set; /* release; a child reads what was stored before */
	} change;
};

static struct {
	struct pa_lock lock; /* of creation */
	PA_ATOMIC(uint32_t) total; /* profiles; release in new, acquire in total */
	PA_ATOMIC(uint32_t) values; /* in all profiles; relaxed */
	PA_ATOMIC(int64_t) wait_not_before_ns; /* relaxed: a hint */
	struct pa_custom profiles[PA_CUSTOM_MAX];
	struct shard shards[SHARDS];
} state = {
	.lock = PA_LOCK_INIT(PA_LOCK_CUSTOM),
	.shards = { [0 ... SHARDS - 1] = { .lock = PA_LOCK_INIT(PA_LOCK_CUSTOM) } },
};

/* ---- profiles ---- */

/* What stands below /debug/pprof/ is not to be had by a profile of the program's own. */
static const char *const built_in[] = {
	"agent", "allocs", "block", "cmdline", "delta_block", "delta_heap", "delta_mutex",
	"goroutine", "heap", "mutex", "profile", "symbol", "threadcreate", "trace",
};

static bool is_same(const char *a, const char *b)
{
	size_t length = strlen(a);
	return length == strlen(b) && memcmp(a, b, length) == 0;
}

static bool is_built_in(const char *name)
{
	for (size_t i = 0; i < PA_COUNT(built_in); i++) {
		if (is_same(built_in[i], name))
			return true;
	}
	return false;
}

/* It gets into URLs, headers and strings of the profile, which have to be UTF-8. */
static bool is_name_good(const char *name)
{
	size_t length = 0;
	while (length < PA_CUSTOM_NAME_BYTES && name[length]) {
		size_t bytes = pa_utf8_char(name + length, SIZE_MAX, true);
		if (!bytes)
			return false;
		length += bytes;
	}
	return length && length < PA_CUSTOM_NAME_BYTES;
}

static int create_locked(const char *name, struct pa_custom **out)
{
	uint32_t id = pa_load_relaxed(&state.total);
	if (is_built_in(name) || pa_custom_find(name))
		return -EEXIST;
	if (id == PA_CUSTOM_MAX)
		return -ENOSPC;
	struct pa_custom *custom = &state.profiles[id];
	custom->id = id;
	memcpy(custom->name, name, strlen(name) + 1);
	pa_store_release(&state.total, id + 1);
	*out = custom;
	return 0;
}

int pa_custom_new(const char *name, struct pa_custom **out)
{
	if (!is_name_good(name))
		return -EINVAL;
	pa_lock(&state.lock);
	int error = create_locked(name, out);
	pa_unlock(&state.lock);
	return error;
}

struct pa_custom *pa_custom_find(const char *name)
{
	uint32_t total = pa_custom_total();
	for (uint32_t id = 0; id < total; id++) {
		if (is_same(state.profiles[id].name, name))
			return &state.profiles[id];
	}
	return NULL;
}

struct pa_custom *pa_custom_get(uint32_t id)
{
	return id < pa_custom_total() ? &state.profiles[id] : NULL;
}

uint32_t pa_custom_total(void)
{
	return pa_load_acquire(&state.total);
}

/* ---- values ---- */

static struct shard *shard_of(const struct pa_custom *custom, uintptr_t value)
{
	return &state.shards[pa_pairmap_hash(custom->id, value) >> (64 - SHARD_BITS)];
}

static struct pa_event event_of(enum pa_event_kind kind, const struct pa_thread *thread,
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

/* True: try again; that may be in vain, as other threads want the room too. event: since when. */
static bool wait_room(const struct pa_event *event)
{
	int64_t now_ns = pa_clock_mono_ns(), until_ns = event->time_ns + PATIENCE_NS;
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
	/* Ends: wait_room does, PATIENCE_NS after the event. */
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
	shard->change.id = id;
	shard->change.value = value;
	pa_store_release(&shard->change.set, 1);
}

static void end_change(struct shard *shard)
{
	pa_store_release(&shard->change.set, 0);
}

/* False: as many as there may be, or no memory. */
static bool put_value(struct shard *shard, uint32_t id, uintptr_t value)
{
	if (pa_add_relaxed(&state.values, 1) < PA_CUSTOM_VALUES &&
	    pa_pairmap_put(&shard->map, id, value, 0))
		return true;
	pa_sub_relaxed(&state.values, 1);
	return false;
}

static bool take_value(struct shard *shard, uint32_t id, uintptr_t value)
{
	if (!pa_pairmap_take(&shard->map, id, value, NULL))
		return false;
	pa_sub_relaxed(&state.values, 1);
	return true;
}

/* With the lock held until the event is in the ring: events of one value come in the order of what
 * was done. */
static int add_locked(struct shard *shard, struct pa_thread *thread, struct pa_custom *custom,
	const struct pa_event *event, struct pa_cursor from)
{
	int error = 0;
	if (pa_pairmap_find(&shard->map, custom->id, event->object))
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

int pa_custom_add(struct pa_thread *thread, struct pa_custom *custom, const void *value, int skip,
	struct pa_cursor from)
{
	int saved_errno = errno;
	struct shard *shard = shard_of(custom, (uintptr_t)value);
	thread->depth++;
	if (pa_unlikely(!thread->met))
		pa_thread_meet(thread);
	pa_lock(&shard->lock);
	struct pa_event event = event_of(PA_EVENT_ADD, thread, custom->id, (uintptr_t)value);
	event.skip = skip > 0 ? (uint32_t)skip : 0;
	int error = add_locked(shard, thread, custom, &event, from);
	pa_unlock(&shard->lock);
	thread->depth--;
	errno = saved_errno;
	return error;
}

static bool remove_locked(struct shard *shard, struct pa_custom *custom,
	const struct pa_event *event)
{
	begin_change(shard, custom->id, event->object);
	bool was_in = take_value(shard, custom->id, event->object);
	if (was_in) {
		pa_sub_relaxed(&custom->count, 1);
		record_remove(event);
	}
	end_change(shard);
	return was_in;
}

bool pa_custom_remove(struct pa_thread *thread, struct pa_custom *custom, const void *value)
{
	int saved_errno = errno;
	struct shard *shard = shard_of(custom, (uintptr_t)value);
	thread->depth++;
	if (pa_unlikely(!thread->met))
		pa_thread_meet(thread);
	pa_lock(&shard->lock);
	struct pa_event event = event_of(PA_EVENT_REMOVE, thread, custom->id, (uintptr_t)value);
	bool was_in = remove_locked(shard, custom, &event);
	pa_unlock(&shard->lock);
	thread->depth--;
	errno = saved_errno;
	return was_in;
}

/* ---- fork ---- */

/* The thread that was changing it is not in here: its value is out, whether it was on its way in
 * and an event says so or not. */
static void mend(struct shard *shard)
{
	pa_pairmap_mend(&shard->map);
	if (!pa_load_acquire(&shard->change.set))
		return;
	struct pa_event event = event_of(PA_EVENT_REMOVE, &pa_thread_self, shard->change.id,
		shard->change.value);
	pa_pairmap_take(&shard->map, shard->change.id, shard->change.value, NULL);
	pa_sample_plain(&event, NULL, 0);
	end_change(shard);
}

static void count_anew(void)
{
	uint32_t counts[PA_CUSTOM_MAX] = { 0 }, sum = 0;
	for (uint32_t i = 0; i < SHARDS; i++)
		pa_pairmap_count(&state.shards[i].map, counts, PA_CUSTOM_MAX);
	for (uint32_t id = 0; id < PA_CUSTOM_MAX; id++) {
		pa_store_relaxed(&state.profiles[id].count, counts[id]);
		sum += counts[id];
	}
	pa_store_relaxed(&state.values, sum);
}

void pa_custom_atfork_child(void)
{
	bool torn = false;
	pa_lock_reset(&state.lock);
	for (uint32_t i = 0; i < SHARDS; i++) {
		struct shard *shard = &state.shards[i];
		if (pa_load_acquire(&shard->lock.word)) {
			mend(shard);
			torn = true;
		}
		pa_lock_reset(&shard->lock);
	}
	if (torn)
		count_anew();
}

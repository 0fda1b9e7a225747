/* SPDX-License-Identifier: Apache-2.0 */
#include "alloc.h"

#include <errno.h>

#include "../arch/arch.h"
#include "../base/arena.h"
#include "../base/clock.h"
#include "switches.h"
#include "registry.h"
#include "sample.h"
#include "sandbox.h"

#include "../base/banned.h"

PA_LARGE PA_ATOMIC(uint8_t) pa_alloc_filter[PA_ALLOC_FILTER_BYTES];

#define STICKY 255 /* a saturated count is never decremented: frees of that page stay slow */

/*
 * The exact set: levels of doubling size, each of buckets of one cache line. An address belongs to
 * one bucket per level; insertion takes the first level with a free place, lookup looks at one line
 * per level that exists. No tombstones, no rehash, no lock. Level 0 has 4 KiB, those from level 10
 * on have 4 MiB: 14 levels have 2.6 M places in 20 MiB; of 2.3 M objects fewer than 1 in 100 have
 * none.
 *
 * Samples are few: they take the small levels first. Of all objects most would be behind several
 * full levels, each one cache miss: at rate 1 the widest levels come first.
 */
#define LEVELS 14
#define WIDEST_LEVEL 10
#define LEVEL0_BUCKETS ((size_t)64)
#define PLACES 8
#define REGION_SHIFT 8 /* PLACES of the smallest blocks of malloc(), which take 32 bytes */
typedef PA_ATOMIC(uintptr_t) place; /* 0 = free; acq_rel by CAS and swap */

/* In a place, above the address: the collector knows nothing of the object. */
#define UNSEEN ((uintptr_t)1 << (sizeof(uintptr_t) * 8 - 1))

enum finding { ABSENT, SEEN, FOUND_UNSEEN };

static struct {
	PA_ATOMIC(place *) levels[LEVELS]; /* release in level_at, acquire everywhere */
	PA_ATOMIC(uint32_t) level_count;   /* number of levels; statistics and a hint for lookup */
} state;

static void filter_add(const void *pointer)
{
	PA_ATOMIC(uint8_t) *count = pa_alloc_filter_of(pointer);
	uint8_t seen = pa_load_relaxed(count);
	/* Ends: the exchange fails only when another thread's exchange succeeds. */
	while (seen != STICKY && !pa_cas_relaxed(count, &seen, seen + 1))
		;
}

static void filter_sub(const void *pointer)
{
	PA_ATOMIC(uint8_t) *count = pa_alloc_filter_of(pointer);
	uint8_t seen = pa_load_relaxed(count);
	while (seen != STICKY && seen != 0 && !pa_cas_relaxed(count, &seen, seen - 1))
		;
}

void pa_alloc_mark(const void *begin, size_t bytes)
{
	PA_ASSERT(bytes);
	for (size_t at = 0; at < bytes; at += PA_PAGE_BYTES)
		filter_add((const char *)begin + at);
}

void pa_alloc_unmark(const void *begin, size_t bytes)
{
	PA_ASSERT(bytes);
	for (size_t at = 0; at < bytes; at += PA_PAGE_BYTES)
		filter_sub((const char *)begin + at);
}

void pa_alloc_mark_range(const void *begin, size_t bytes)
{
	uintptr_t page = (uintptr_t)begin & ~(PA_PAGE_BYTES - 1);
	for (; page < (uintptr_t)begin + bytes; page += PA_PAGE_BYTES)
		pa_store_relaxed(pa_alloc_filter_of((const void *)page), STICKY);
}

PA_INLINE size_t level_buckets(int level)
{
	return LEVEL0_BUCKETS << (level < WIDEST_LEVEL ? level : WIDEST_LEVEL);
}

PA_INLINE size_t level_bytes(int level)
{
	return level_buckets(level) * PLACES * sizeof(place);
}

/* NULL: no memory. */
static place *map_level(int level)
{
	PA_ASSERT(level >= 0 && level < LEVELS);
	place *places = NULL;
	size_t bytes = level_bytes(level);
	place *fresh = pa_map_table(bytes);
	if (!fresh)
		return NULL;
	if (pa_cas_acq_rel(&state.levels[level], &places, fresh)) {
		pa_add_relaxed(&state.level_count, 1);
		return fresh;
	}
	pa_unmap_table(fresh, bytes);
	return places;
}

static PA_COLD place *create_level(int level)
{
	if (!pa_sandbox_begin(&pa_thread_self, PA_CALLS_MAP))
		return NULL;
	place *places = map_level(level);
	pa_sandbox_end();
	return places;
}

/* The level's memory; created when create is set. NULL: does not exist, or no memory. */
PA_INLINE place *level_at(int level, bool create)
{
	PA_ASSERT(level >= 0 && level < LEVELS);
	place *places = pa_load_acquire(&state.levels[level]);
	return pa_likely(places) || !create ? places : create_level(level);
}

PA_INLINE place *bucket_of(place *places, int level, uintptr_t address)
{
	PA_ASSERT(places);
	/* Neighbours in memory, which live and end together, share a bucket: one cache miss for
	 * several. Levels of one size take other bits: what shares a full bucket in one does not in
	 * the next. */
	int other = level > WIDEST_LEVEL ? 9 * (level - WIDEST_LEVEL) : 0;
	uint64_t hash = (address >> REGION_SHIFT) * 0x9e3779b97f4a7c15u >> (20 + other);
	return places + (hash & (level_buckets(level) - 1)) * PLACES;
}

static bool is_every_object_sampled(void)
{
	return pa_record.heap_rate_bytes <= 1;
}

/* Levels in the order of use: each exists only if the one before it does. */
PA_INLINE int nth_level(int n, bool widest_first)
{
	if (!widest_first)
		return n;
	return n < LEVELS - WIDEST_LEVEL ? WIDEST_LEVEL + n : LEVELS - 1 - n;
}

/* mark: UNSEEN or 0. */
static bool set_insert(uintptr_t address, uintptr_t mark)
{
	PA_ASSERT(address && !(address & UNSEEN));
	bool widest_first = is_every_object_sampled();
	for (int n = 0; n < LEVELS; n++) {
		int level = nth_level(n, widest_first);
		place *places = level_at(level, true);
		if (!places)
			return false;
		place *bucket = bucket_of(places, level, address);
		for (int i = 0; i < PLACES; i++) {
			uintptr_t none = pa_load_relaxed(&bucket[i]);
			if (!none && pa_cas_acq_rel(&bucket[i], &none, address | mark))
				return true;
		}
	}
	return false;
}

/* Removes the address if it is in the set. */
static enum finding set_remove(uintptr_t address)
{
	PA_ASSERT(address);
	bool widest_first = is_every_object_sampled();
	for (int n = 0; n < LEVELS; n++) {
		int level = nth_level(n, widest_first);
		place *places = level_at(level, false);
		if (!places)
			return ABSENT;
		place *bucket = bucket_of(places, level, address);
		for (int i = 0; i < PLACES; i++) {
			uintptr_t found = pa_load_acquire(&bucket[i]);
			if ((found & ~UNSEEN) == address && pa_cas_acq_rel(&bucket[i], &found, 0))
				return found & UNSEEN ? FOUND_UNSEEN : SEEN;
		}
	}
	return ABSENT;
}

/* A free bypassed the hook (a plugin opened with RTLD_DEEPBIND calls libc's free), and the address
 * comes again: a second insertion would take one more place each time. Else enters the filter. */
static void enter_filter(void *pointer)
{
	enum finding stale =
		pa_alloc_maybe_sampled(pointer) ? set_remove((uintptr_t)pointer) : ABSENT;
	if (stale == ABSENT)
		filter_add(pointer);
	if (stale == FOUND_UNSEEN)
		PA_COUNT_EVENT(frees_of_lost);
}

/* The set has no room. At rate 1 the filter keeps the page, so that the free comes here. */
static void count_without_place(void *pointer)
{
	PA_COUNT_EVENT(lost_alloc_live);
	if (!is_every_object_sampled())
		filter_sub(pointer);
}

/* No event: the free is counted only. */
static void count_unseen(void *pointer, size_t bytes)
{
	PA_COUNT_EVENT(lost_alloc_ring);
	pa_add_relaxed(&pa_record.counters.bytes_of_lost_allocs, bytes);
	if (set_remove((uintptr_t)pointer) != ABSENT && !set_insert((uintptr_t)pointer, UNSEEN) &&
		!is_every_object_sampled())
		filter_sub(pointer);
}

/* Of a free that is not in the set. If it is of an object from before the boot, the count is too
 * high by one; the filter is left alone, which would lose a sampled object of the page. */
static bool is_of_unkept(void)
{
	const struct pa_counters *counters = &pa_record.counters;
	uint64_t unkept = pa_load_relaxed(&counters->lost_alloc_live);
	return unkept && is_every_object_sampled() &&
		pa_load_relaxed(&counters->frees_of_lost) <
		unkept + pa_load_relaxed(&counters->lost_alloc_ring);
}

static void forget_marked_of(place *places, size_t count)
{
	PA_ASSERT(places);
	for (size_t i = 0; i < count; i++) {
		uintptr_t address = pa_load_acquire(&places[i]);
		if (address & 1 && pa_cas_acq_rel(&places[i], &address, 0))
			filter_sub((const void *)address);
	}
}

void pa_alloc_forget_marked(void)
{
	for (int level = 0; level < LEVELS; level++) {
		place *places = level_at(level, false);
		if (places)
			forget_marked_of(places, level_bytes(level) / sizeof(place));
	}
}

size_t pa_alloc_set_bytes(void)
{
	size_t bytes = 0;
	for (int level = 0; level < LEVELS; level++)
		if (pa_load_acquire(&state.levels[level]))
			bytes += level_bytes(level);
	return bytes;
}

/* First call on a thread, whose countdown was never drawn: true when this allocation is a
 * sample. */
static bool draw_first(struct pa_thread *thread, size_t bytes)
{
	uint64_t left = pa_sample_interval(thread, pa_record.heap_rate_bytes);
	if (bytes >= left)
		return true;
	thread->heap_left = left - bytes;
	return false;
}

uint64_t pa_alloc_pause(struct pa_thread *thread)
{
	uint64_t left = thread->heap_left;
	if (thread->role != PA_ROLE_AGENT)
		thread->heap_left = UINT64_MAX;
	return left;
}

void pa_alloc_resume(struct pa_thread *thread, uint64_t left)
{
	thread->heap_left = left;
}

bool pa_alloc_due(struct pa_thread *thread, size_t bytes)
{
	if (thread->role == PA_ROLE_AGENT) {
		thread->heap_left = 0;
		return false;
	}
	thread->heap_left += bytes; /* undoes the subtraction of pa_alloc_skip */
	if (!pa_load_relaxed(&pa_switches->heap)) {
		/* No sampling once booted (no rate, a launcher, a child without the agent): avoids
		 * further slow calls of this thread. A child of a bare clone(2) gets here each
		 * time. */
		if (pa_load_relaxed(&pa_switches->booted) || pa_load_relaxed(&pa_switches->inert))
			thread->heap_left = UINT64_MAX;
		return false;
	}
	if (thread->depth) {
		PA_COUNT_EVENT(lost_reentrant);
		return false;
	}
	if (!pa_sandbox_may(thread, PA_CALLS_CLOCK)) {
		thread->heap_left = UINT64_MAX;
		return false;
	}
	if (pa_unlikely(!thread->registered))
		pa_registry_add(thread);
	if (pa_unlikely(!thread->random) && !draw_first(thread, bytes))
		return false;
	thread->heap_left = pa_sample_interval(thread, pa_record.heap_rate_bytes);
	PA_ASSERT(thread->registered && !thread->depth);
	return true;
}

PA_INLINE struct pa_event alloc_event_of(enum pa_event_kind kind, const struct pa_thread *thread,
	void *pointer, size_t bytes, int64_t now_ns)
{
	return (struct pa_event){
		.kind = (uint8_t)kind,
		.tid = thread->tid,
		.time_ns = now_ns,
		.value = { bytes },
		.object = (uintptr_t)pointer,
	};
}

void pa_alloc_record(struct pa_thread *thread, void *pointer, size_t bytes, struct pa_cursor from)
{
	PA_ASSERT(thread->role != PA_ROLE_AGENT);
	if (!pointer)
		return;
	int saved_errno = errno;
	thread->depth++;
	enter_filter(pointer);
	bool kept = set_insert((uintptr_t)pointer, 0);
	struct pa_event event = alloc_event_of(PA_EVENT_ALLOC, thread, kept ? pointer : NULL, bytes,
		pa_clock_mono_ns());
	if (pa_sample_stack(&event, thread, from, NULL, true) ||
		(pa_sample_wait_room() && pa_sample_stack(&event, thread, from, NULL, false)))
		PA_COUNT_EVENT(alloc_events);
	else
		count_unseen(pointer, bytes);
	if (!kept)
		count_without_place(pointer);
	thread->depth--;
	errno = saved_errno;
}

/* Fills the ring slot in place: a copy would cost a third of this function. Without a time, whose
 * reading would cost as much again. */
static bool record_alloc_plain(enum pa_event_kind kind, const struct pa_thread *thread,
	void *pointer)
{
	struct pa_event *event = pa_ring_reserve(pa_record.ring, sizeof(*event));
	if (pa_unlikely(!event) && pa_sandbox_may(thread, PA_CALLS_CLOCK) && pa_sample_wait_room())
		event = pa_ring_reserve(pa_record.ring, sizeof(*event));
	if (pa_unlikely(!event))
		return false;
	*event = alloc_event_of(kind, thread, pointer, 0, 0);
	pa_ring_publish(pa_record.ring, event, sizeof(*event), sizeof(*event));
	return true;
}

bool pa_alloc_forget(struct pa_thread *thread, void *pointer)
{
	/* NULL may share its byte of the filter with a page that has samples, and is no address of
	 * the set, where 0 is a free place. */
	if (!pointer || !pa_load_relaxed(&pa_switches->booted))
		return false;
	enum finding found = set_remove((uintptr_t)pointer);
	if (found != SEEN) {
		if (found == FOUND_UNSEEN)
			filter_sub(pointer);
		if (found == FOUND_UNSEEN || is_of_unkept())
			PA_COUNT_EVENT(frees_of_lost);
		return false;
	}
	int saved_errno = errno;
	thread->depth++;
	filter_sub(pointer);
	if (pa_unlikely(!thread->registered))
		pa_registry_add(thread);
	if (record_alloc_plain(PA_EVENT_FREE, thread, pointer))
		PA_COUNT_EVENT(free_events);
	else
		PA_COUNT_EVENT(lost_free_ring);
	thread->depth--;
	errno = saved_errno;
	return true;
}

void pa_alloc_revive(struct pa_thread *thread, void *pointer)
{
	PA_ASSERT(pointer);
	int saved_errno = errno;
	thread->depth++;
	filter_add(pointer);
	if (!set_insert((uintptr_t)pointer, 0) ||
		!record_alloc_plain(PA_EVENT_REVIVE, thread, pointer))
		PA_COUNT_EVENT(lost_alloc_ring);
	thread->depth--;
	errno = saved_errno;
}

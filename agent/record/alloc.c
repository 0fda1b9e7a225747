#include "alloc.h"

#include <errno.h>
#include <sys/mman.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "on.h"
#include "sample.h"
#include "sandbox.h"

#include "../base/banned.h"

PA_ATOMIC(uint8_t) pa_alloc_filter[PA_ALLOC_FILTER_BYTES];

#define STICKY 255 /* a count that overflowed stays: only frees of that page get slower */

/*
 * The exact set: levels of doubling size, each of buckets of one cache line. An address belongs to
 * one bucket per level; insertion takes the first level with a free place, lookup looks at one line
 * per level that exists. No tombstones, no rehash, no lock. Level 0 has 4 KiB; 14 levels hold
 * 4 M places in 64 MiB of address space, of which 1 M objects touch 16 MiB.
 */
#define LEVELS 14
#define LEVEL0_BUCKETS ((size_t)64)
#define PLACES 8
typedef PA_ATOMIC(uintptr_t) place; /* 0 = free; acq_rel by CAS and swap */

static struct {
	PA_ATOMIC(place *) levels[LEVELS]; /* release in level_at, acquire everywhere */
	PA_ATOMIC(uint32_t) level_count;   /* levels that exist; statistics and a hint for lookup */
} state;

static void filter_add(const void *pointer)
{
	PA_ATOMIC(uint8_t) *count = pa_alloc_filter_of(pointer);
	uint8_t seen = pa_load_relaxed(count);
	/* Ends: a failed exchange is another thread's progress. */
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
	for (size_t at = 0; at < bytes; at += PA_PAGE_BYTES)
		filter_add((const char *)begin + at);
}

void pa_alloc_unmark(const void *begin, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += PA_PAGE_BYTES)
		filter_sub((const char *)begin + at);
}

void pa_alloc_mark_range(const void *begin, size_t bytes)
{
	uintptr_t page = (uintptr_t)begin & ~(PA_PAGE_BYTES - 1);
	for (; page < (uintptr_t)begin + bytes; page += PA_PAGE_BYTES)
		pa_store_relaxed(pa_alloc_filter_of((const void *)page), STICKY);
}

PA_INLINE size_t level_bytes(int level)
{
	return (LEVEL0_BUCKETS << level) * PLACES * sizeof(place);
}

/* NULL: no memory. */
static place *map_level(int level)
{
	place *places = NULL;
	size_t bytes = level_bytes(level);
	place *fresh = mmap(pa_map_place(bytes), bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (fresh == MAP_FAILED)
		return NULL;
	if (pa_cas_acq_rel(&state.levels[level], &places, fresh)) {
		pa_add_relaxed(&state.level_count, 1);
		return fresh;
	}
	munmap(fresh, bytes);
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
	place *places = pa_load_acquire(&state.levels[level]);
	return pa_likely(places) || !create ? places : create_level(level);
}

PA_INLINE place *bucket_of(place *places, int level, uintptr_t address)
{
	uint64_t hash = (address >> 4) * 0x9e3779b97f4a7c15u >> 20;
	return places + (hash & ((LEVEL0_BUCKETS << level) - 1)) * PLACES;
}

static bool set_insert(uintptr_t address)
{
	for (int level = 0; level < LEVELS; level++) {
		place *places = level_at(level, true);
		if (!places)
			return false;
		place *bucket = bucket_of(places, level, address);
		for (int i = 0; i < PLACES; i++) {
			uintptr_t nobody = pa_load_relaxed(&bucket[i]);
			if (!nobody && pa_cas_acq_rel(&bucket[i], &nobody, address))
				return true;
		}
	}
	return false;
}

/* True when the address was in the set; it is out now. */
static bool set_remove(uintptr_t address)
{
	for (int level = 0; level < LEVELS; level++) {
		place *places = level_at(level, false);
		if (!places)
			return false;
		place *bucket = bucket_of(places, level, address);
		for (int i = 0; i < PLACES; i++) {
			uintptr_t found = address;
			if (pa_load_acquire(&bucket[i]) == address &&
			    pa_cas_acq_rel(&bucket[i], &found, 0))
				return true;
		}
	}
	return false;
}

size_t pa_alloc_set_bytes(void)
{
	size_t bytes = 0;
	for (int level = 0; level < LEVELS; level++)
		if (pa_load_acquire(&state.levels[level]))
			bytes += level_bytes(level);
	return bytes;
}

/* The first visit of a thread, whose countdown was never drawn: true when this one is a sample. */
static bool draw_first(struct pa_thread *thread, size_t bytes)
{
	uint64_t left = pa_sample_interval(thread, pa_record.heap_rate_bytes);
	if (bytes >= left)
		return true;
	thread->heap_left = left - bytes;
	return false;
}

bool pa_alloc_due(struct pa_thread *thread, size_t bytes)
{
	if (thread->role == PA_ROLE_AGENT) {
		thread->heap_left = 0;
		return false;
	}
	thread->heap_left += bytes; /* as it was before pa_alloc_skip took it off */
	if (!pa_load_relaxed(&pa_on->heap)) {
		/* Off for good once booted (no rate, a launcher, a child without the agent):
		 * spare the thread further visits. A bare clone's child comes here each time. */
		if (pa_load_relaxed(&pa_on->booted) || pa_load_relaxed(&pa_on->inert))
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
	if (pa_unlikely(!thread->met))
		pa_thread_meet(thread);
	if (pa_unlikely(!thread->random) && !draw_first(thread, bytes))
		return false;
	thread->heap_left = pa_sample_interval(thread, pa_record.heap_rate_bytes);
	return true;
}

PA_INLINE struct pa_event event_of(enum pa_event_kind kind, const struct pa_thread *thread,
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
	if (!pointer)
		return;
	int saved_errno = errno;
	thread->depth++;
	/* Still there: its free went past us (a plugin opened with RTLD_DEEPBIND calls libc's). It
	 * would take one more place each time that the allocator gives the address out. */
	if (!pa_alloc_maybe_sampled(pointer) || !set_remove((uintptr_t)pointer))
		filter_add(pointer);
	if (!set_insert((uintptr_t)pointer)) {
		filter_sub(pointer);
		PA_COUNT_EVENT(lost_alloc_live);
		goto out;
	}
	struct pa_event event = event_of(PA_EVENT_ALLOC, thread, pointer, bytes,
		pa_clock_mono_ns());
	if (pa_sample_stack(&event, thread, from, NULL, true) ||
	    (pa_sample_wait_room() && pa_sample_stack(&event, thread, from, NULL, false))) {
		PA_COUNT_EVENT(alloc_events);
		goto out;
	}
	PA_COUNT_EVENT(lost_alloc_ring);
	/* Its free must not be recorded either. */
	set_remove((uintptr_t)pointer);
	filter_sub(pointer);
out:
	thread->depth--;
	errno = saved_errno;
}

/* Into the slot itself: a copy would cost a third of it. */
static bool record_plain(enum pa_event_kind kind, const struct pa_thread *thread, void *pointer)
{
	if (!pa_sandbox_may(thread, PA_CALLS_CLOCK))
		return false;
	int64_t now_ns = pa_clock_mono_ns();
	struct pa_event *event = pa_ring_reserve(pa_record.ring, sizeof(*event));
	if (pa_unlikely(!event) && pa_sample_wait_room())
		event = pa_ring_reserve(pa_record.ring, sizeof(*event));
	if (pa_unlikely(!event))
		return false;
	*event = event_of(kind, thread, pointer, 0, now_ns);
	pa_ring_publish(pa_record.ring, event, sizeof(*event), sizeof(*event));
	return true;
}

bool pa_alloc_forget(struct pa_thread *thread, void *pointer)
{
	if (!pa_load_relaxed(&pa_on->booted) || !set_remove((uintptr_t)pointer))
		return false;
	int saved_errno = errno;
	thread->depth++;
	filter_sub(pointer);
	if (pa_unlikely(!thread->met))
		pa_thread_meet(thread);
	if (record_plain(PA_EVENT_FREE, thread, pointer))
		PA_COUNT_EVENT(free_events);
	else
		PA_COUNT_EVENT(lost_free_ring);
	thread->depth--;
	errno = saved_errno;
	return true;
}

void pa_alloc_revive(struct pa_thread *thread, void *pointer)
{
	int saved_errno = errno;
	thread->depth++;
	filter_add(pointer);
	if (!set_insert((uintptr_t)pointer) || !record_plain(PA_EVENT_REVIVE, thread, pointer))
		PA_COUNT_EVENT(lost_alloc_ring);
	thread->depth--;
	errno = saved_errno;
}

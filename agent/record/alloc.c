/* SPDX-License-Identifier: Apache-2.0 */
#include "alloc.h"

#include <errno.h>

#include "../arch/arch.h"
#include "../base/clock.h"
#include "alloc_set.h"
#include "inner_alloc.h"
#include "switches.h"
#include "registry.h"
#include "sample.h"
#include "sandbox.h"
#include "stack.h"

#include "../base/banned.h"

PA_LARGE PA_ATOMIC(uint8_t) pa_alloc_filter[PA_ALLOC_FILTER_BYTES];

#define STICKY 255 /* a saturated count is never decremented: frees of that page stay slow */

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

/* A free bypassed the hook (a plugin opened with RTLD_DEEPBIND calls libc's free), and the address
 * comes again: a second insertion would take one more place each time. Else enters the filter.
 * False: the collector has an object of this address, and must learn of the new one. */
static bool enter_filter(void *pointer)
{
	int32_t stale = PA_ALLOC_SET_ABSENT;
	if (pa_alloc_maybe_sampled(pointer))
		stale = pa_alloc_set_remove((uintptr_t)pointer);
	if (pa_likely(stale == PA_ALLOC_SET_ABSENT)) {
		filter_add(pointer);
		return true;
	}
	if (stale == PA_ALLOC_SET_EVENT)
		return false;
	if (stale == PA_ALLOC_SET_UNSEEN)
		PA_COUNT_EVENT(frees_of_lost);
	else
		pa_alloc_counts_missed(pa_record.alloc_counts, (uint32_t)stale);
	return true;
}

/* The set has no room. At rate 1 the filter keeps the page, so that the free comes here. */
static void count_without_place(void *pointer)
{
	PA_COUNT_EVENT(lost_alloc_live);
	if (!pa_alloc_set_has_all())
		filter_sub(pointer);
}

/* No event: the free is counted only. */
static void count_unseen(void *pointer, size_t bytes)
{
	PA_COUNT_EVENT(lost_alloc_ring);
	pa_add_relaxed(&pa_record.counters.bytes_of_lost_allocs, bytes);
	if (pa_alloc_set_remove((uintptr_t)pointer) != PA_ALLOC_SET_ABSENT &&
		!pa_alloc_set_insert((uintptr_t)pointer, PA_ALLOC_SET_UNSEEN) &&
		!pa_alloc_set_has_all())
		filter_sub(pointer);
}

/* Of a free that is not in the set. If it is of an object from before the boot, the count is too
 * high by one; the filter is left alone, which would lose a sampled object of the page. */
static bool is_of_unkept(void)
{
	const struct pa_counters *counters = &pa_record.counters;
	uint64_t unkept = pa_load_relaxed(&counters->lost_alloc_live);
	return unkept && pa_alloc_set_has_all() &&
		pa_load_relaxed(&counters->frees_of_lost) <
		unkept + pa_load_relaxed(&counters->lost_alloc_ring);
}

static PA_APP void leave_filter(uintptr_t address)
{
	filter_sub((const void *)address);
}

void pa_alloc_forget_marked(void)
{
	pa_alloc_set_drop_odd(leave_filter);
}

void pa_alloc_abandon_counts(void)
{
	if (!pa_record.alloc_counts)
		return;
	pa_alloc_set_forget_numbers();
	pa_alloc_counts_abandon(pa_record.alloc_counts);
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

/* The walk of an allocation whose stack may be known. */
struct walked {
	uintptr_t pcs[PA_ALLOC_COUNTS_DEPTH];
	uint32_t depth, epoch;
	enum pa_walk_end end;
	struct pa_alloc_counts_key key;
};

/* False: the stack is not the thread's own, or has no key. */
PA_INLINE bool walk_for_key(struct walked *walked, const struct pa_thread *thread,
	struct pa_cursor from, size_t bytes)
{
	struct pa_walk walk = pa_walk_start(thread, from, false);
	if (!pa_walk_is_own(&walk) || !pa_record.frames)
		return false;
	uint32_t max = pa_record.stack_depth;
	walked->epoch = pa_frame_cache_epoch(pa_record.frames);
	walked->end = pa_walk_run_by_last(&walk, pa_record.frames, walked->pcs,
		max < PA_ALLOC_COUNTS_DEPTH ? max : PA_ALLOC_COUNTS_DEPTH, &walked->depth);
	bool cut = walked->end == PA_WALK_CUT;
	if (walked->end != PA_WALK_COMPLETE && !(cut && walked->depth == max))
		return false;
	walked->key = pa_alloc_counts_key(pa_record.alloc_counts, walked->pcs, walked->depth, cut,
		bytes, walked->epoch);
	pa_alloc_counts_prefetch(pa_record.alloc_counts, walked->key);
	return true;
}

/* Counts the object if the collector has published its stack and size. */
static bool count_known(const struct walked *walked, void *pointer)
{
	struct pa_alloc_counts *counts = pa_record.alloc_counts;
	uint32_t number = pa_alloc_counts_find(counts, walked->key);
	if (!number || !pa_alloc_set_insert((uintptr_t)pointer, number))
		return false;
	pa_alloc_counts_made(counts, number);
	if (pa_unlikely(walked->end == PA_WALK_CUT))
		PA_COUNT_EVENT(cut_stacks);
	return true;
}

/* walked: NULL: the stack is still to be walked. False: the ring is full. */
static bool send_alloc(struct pa_event *event, const struct walked *walked,
	struct pa_thread *thread, struct pa_cursor from)
{
	if (!walked)
		return pa_sample_stack(event, thread, from, NULL, true) ||
			(pa_sample_wait_room() &&
				pa_sample_stack(event, thread, from, NULL, false));
	event->value[1] = walked->epoch;
	event->flags = walked->end == PA_WALK_CUT ? PA_EVENT_CUT : 0;
	return pa_sample_plain(event, walked->pcs, walked->depth) ||
		(pa_sample_wait_room() && pa_sample_plain(event, walked->pcs, walked->depth));
}

static void record_by_event(struct pa_thread *thread, void *pointer, size_t bytes,
	struct pa_cursor from, const struct walked *walked)
{
	bool kept = pa_alloc_set_insert((uintptr_t)pointer, PA_ALLOC_SET_EVENT);
	struct pa_event event = alloc_event_of(PA_EVENT_ALLOC, thread, kept ? pointer : NULL, bytes,
		pa_clock_mono_ns());
	if (send_alloc(&event, walked, thread, from))
		PA_COUNT_EVENT(alloc_events);
	else
		count_unseen(pointer, bytes);
	if (!kept)
		count_without_place(pointer);
}

/* Out of line: other calls need no room for the pcs. */
static PA_NOINLINE void record_or_count(struct pa_thread *thread, void *pointer, size_t bytes,
	struct pa_cursor from)
{
	struct walked walked;
	pa_alloc_set_prefetch((uintptr_t)pointer);
	bool usable = walk_for_key(&walked, thread, from, bytes);
	bool fresh = enter_filter(pointer);
	if (!usable || !fresh || !count_known(&walked, pointer))
		record_by_event(thread, pointer, bytes, from, usable ? &walked : NULL);
}

void pa_alloc_record(struct pa_thread *thread, void *pointer, size_t bytes, struct pa_cursor from)
{
	PA_ASSERT(thread->role != PA_ROLE_AGENT);
	if (!pointer)
		return;
	int saved_errno = errno;
	thread->depth++;
	if (pa_record.alloc_counts && !((uintptr_t)pointer & PA_INNER_ALLOC_MARK)) {
		record_or_count(thread, pointer, bytes, from);
	} else {
		enter_filter(pointer);
		record_by_event(thread, pointer, bytes, from, NULL);
	}
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

static void record_free(struct pa_thread *thread, void *pointer)
{
	int saved_errno = errno;
	thread->depth++;
	if (pa_unlikely(!thread->registered))
		pa_registry_add(thread);
	if (record_alloc_plain(PA_EVENT_FREE, thread, pointer))
		PA_COUNT_EVENT(free_events);
	else
		PA_COUNT_EVENT(lost_free_ring);
	thread->depth--;
	errno = saved_errno;
}

struct pa_alloc_forgotten pa_alloc_forget(struct pa_thread *thread, void *pointer)
{
	const struct pa_alloc_forgotten nothing = { .was_sampled = false };
	/* NULL may share its byte of the filter with a page that has samples, and is no address of
	 * the set, where 0 is a free place. */
	if (!pointer || !pa_load_relaxed(&pa_switches->booted))
		return nothing;
	if (pa_alloc_set_has_all()) {
		pa_alloc_set_prefetch((uintptr_t)pointer);
		__builtin_prefetch((char *)pointer - sizeof(size_t), 1); /* for the real free */
	}
	int32_t number = pa_alloc_set_remove((uintptr_t)pointer);
	if (number != PA_ALLOC_SET_ABSENT)
		filter_sub(pointer);
	if (number == PA_ALLOC_SET_ABSENT || number == PA_ALLOC_SET_UNSEEN) {
		if (number == PA_ALLOC_SET_UNSEEN || is_of_unkept())
			PA_COUNT_EVENT(frees_of_lost);
		return nothing;
	}
	if (number == PA_ALLOC_SET_EVENT)
		record_free(thread, pointer);
	else
		pa_alloc_counts_freed(pa_record.alloc_counts, (uint32_t)number);
	return (struct pa_alloc_forgotten){ .was_sampled = true, .number = (uint16_t)number };
}

void pa_alloc_revive(struct pa_thread *thread, void *pointer, struct pa_alloc_forgotten forgotten)
{
	PA_ASSERT(pointer && forgotten.was_sampled);
	int saved_errno = errno;
	thread->depth++;
	filter_add(pointer);
	bool kept = pa_alloc_set_insert((uintptr_t)pointer, forgotten.number);
	if (kept && forgotten.number != PA_ALLOC_SET_EVENT)
		pa_alloc_counts_revived(pa_record.alloc_counts, forgotten.number);
	else if (!kept || !record_alloc_plain(PA_EVENT_REVIVE, thread, pointer))
		PA_COUNT_EVENT(lost_alloc_ring);
	thread->depth--;
	errno = saved_errno;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sample.h"

#include <string.h>

#include "../base/clock.h"
#include "../base/logarithm.h"
#include "switches.h"
#include "sandbox.h"
#include "stack.h"

#include "../base/banned.h"

/* The share of the ring that a deferred record may fill. */
#define COPY_RING_SHARE 8

/* Longest wait for room of an event that must not get lost (longer while the collector is still
 * starting: a program may fill the ring in its first milliseconds), and the time without further
 * waits after an unsuccessful one. */
#define WAIT_ROOM_NS (100 * PA_NS_PER_MS)
#define WAIT_FIRST_NS (2 * PA_NS_PER_S)
#define WAIT_PAUSE_NS PA_NS_PER_S
static PA_ATOMIC(int64_t) wait_not_before_ns; /* relaxed: a hint */

static size_t stack_event_bytes(uint32_t depth)
{
	PA_ASSERT(depth <= UINT16_MAX);
	return sizeof(struct pa_event) + depth * sizeof(uintptr_t);
}

bool pa_sample_wait_room(void)
{
	int64_t now_ns = pa_clock_mono_ns();
	if (now_ns < pa_load_relaxed(&wait_not_before_ns) || !pa_sandbox_may_wake())
		return false;
	int64_t timeout_ns = pa_ring_was_read(pa_record.ring) ? WAIT_ROOM_NS : WAIT_FIRST_NS;
	size_t bytes = stack_event_bytes(pa_record.stack_depth);
	if (!pa_ring_wait_room(pa_record.ring, bytes, timeout_ns))
		pa_store_relaxed(&wait_not_before_ns, pa_clock_mono_ns() + WAIT_PAUSE_NS);
	return true;
}

static size_t copy_limit(const struct pa_walk *walk)
{
	size_t share = pa_ring_stats(pa_record.ring).size_bytes / COPY_RING_SHARE;
	size_t bytes = pa_walk_copy_bytes(walk);
	return share < bytes ? share : bytes;
}

/*
 * Moves the half-walked event into a larger slot with room for the copy. NULL: no room; the event
 * stays as it is.
 */
static struct pa_event *enlarge_event(struct pa_event *event, size_t have, size_t want)
{
	PA_ASSERT(want > have && stack_event_bytes(event->depth) <= have);
	struct pa_event *larger = pa_ring_reserve(pa_record.ring, want);
	if (!larger)
		return NULL;
	memcpy(larger, event, stack_event_bytes(event->depth));
	pa_ring_publish(pa_record.ring, event, have, 0);
	return larger;
}

/* The ring has no room for the copy: publishes the event without it, or not at all. */
static bool publish_short(struct pa_event *event, size_t have, bool can_retry)
{
	PA_ASSERT(stack_event_bytes(event->depth) <= have);
	event->flags |= PA_EVENT_BROKEN;
	size_t used = can_retry ? 0 : stack_event_bytes(event->depth);
	pa_ring_publish(pa_record.ring, event, have, used);
	return !can_retry;
}

/* Room for pcs and a copy of *limit bytes; less where the ring has no more. NULL: none. */
static struct pa_event *enlarge_for_copy(struct pa_event *event, size_t have, size_t *limit)
{
	size_t head = stack_event_bytes(event->depth) + sizeof(struct pa_deferred);
	struct pa_event *larger = enlarge_event(event, have, head + *limit);
	if (!larger && *limit > PA_COPY_SIZE_OWN_BYTES) {
		*limit = PA_COPY_SIZE_OWN_BYTES;
		larger = enlarge_event(event, have, head + *limit);
	}
	return larger;
}

/* Adds registers and stack for the collector, and publishes. False: no room, nothing published. */
static bool publish_deferred(struct pa_event *event, size_t have, struct pa_walk *walk,
	const struct pa_regs *regs, bool can_retry)
{
	size_t pcs_bytes = stack_event_bytes(event->depth);
	size_t limit = copy_limit(walk);
	struct pa_event *larger = enlarge_for_copy(event, have, &limit);
	if (!larger)
		return publish_short(event, have, can_retry);
	size_t want = pcs_bytes + sizeof(struct pa_deferred) + limit;
	struct pa_deferred *deferred = (struct pa_deferred *)((char *)larger + pcs_bytes);
	memset(deferred, 0, sizeof(*deferred));
	if (regs && event->depth == 0) {
		deferred->regs = *regs;
	} else {
		deferred->regs.gpr[PA_REG_PC] = walk->cursor.pc;
		deferred->regs.gpr[PA_REG_SP] = walk->cursor.sp;
		deferred->regs.gpr[PA_REG_BP] = walk->cursor.bp;
	}
	pa_walk_copy(walk, deferred, limit);
	PA_ASSERT(deferred->stack_bytes <= limit);
	if (walk->reader.unreadable)
		PA_COUNT_EVENT(unreadable_stacks);
	larger->flags |= PA_EVENT_DEFERRED;
	pa_ring_publish(pa_record.ring, larger, want,
		pcs_bytes + sizeof(*deferred) + deferred->stack_bytes);
	/* Shortens the life of the copy: the program may wipe the memory it was taken from. */
	pa_ring_wake_soon(pa_record.ring);
	return true;
}

static uint32_t walk_depth_limit(const struct pa_event *head)
{
	uint32_t max = pa_record.stack_depth;
	return head->depth && head->depth < max ? head->depth : max;
}

bool pa_sample_stack(const struct pa_event *head, const struct pa_thread *thread,
	struct pa_cursor from, const struct pa_regs *regs, bool can_retry)
{
	PA_ASSERT(head->kind && pa_record.stack_depth <= UINT16_MAX);
	uint32_t max = walk_depth_limit(head);
	size_t pcs_end = stack_event_bytes(max), have = pcs_end;
	struct pa_walk walk = pa_walk_start(thread, from, head->flags & PA_EVENT_LEAF);
	bool own = pa_walk_is_own(&walk);
	if (pa_unlikely(!own))
		have += PA_WALK_ROOM_BYTES;
	struct pa_event *event = pa_ring_reserve(pa_record.ring, have);
	if (pa_unlikely(!event))
		return false;
	*event = *head;
	event->value[1] = pa_record.frames ? pa_frame_cache_epoch(pa_record.frames) : 0;
	/* Behind the pcs, and not published. */
	walk.reader.room = own ? NULL : (char *)event + pcs_end;

	uint32_t depth;
	uintptr_t *pcs = (uintptr_t *)(event + 1);
	enum pa_walk_end end = own ?
		pa_walk_run_by_last(&walk, pa_record.frames, pcs, max, &depth) :
		pa_walk_run(&walk, pa_record.frames, pcs, max, &depth);
	PA_ASSERT(depth <= max);
	event->depth = (uint16_t)depth;
	if (pa_unlikely(end == PA_WALK_DEFERRED) && regs &&
		pa_walk_needs_first(&walk, pa_record.frames, from.sp)) {
		walk = pa_walk_start(thread, from, head->flags & PA_EVENT_LEAF);
		event->depth = 0;
	}
	if (pa_unlikely(end == PA_WALK_DEFERRED))
		return publish_deferred(event, have, &walk, regs, can_retry);
	if (pa_unlikely(walk.reader.unreadable))
		PA_COUNT_EVENT(unreadable_stacks);
	if (end == PA_WALK_CUT)
		event->flags |= PA_EVENT_CUT;
	else if (end == PA_WALK_BROKEN)
		event->flags |= PA_EVENT_BROKEN;
	pa_ring_publish(pa_record.ring, event, have, stack_event_bytes(depth));
	return true;
}

bool pa_sample_plain(const struct pa_event *head, const uintptr_t *pcs, uint32_t count)
{
	PA_ASSERT(head->kind && (pcs || !count));
	size_t bytes = stack_event_bytes(count);
	struct pa_event *event = pa_ring_reserve(pa_record.ring, bytes);
	if (!event)
		return false;
	*event = *head;
	event->depth = (uint16_t)count;
	if (count)
		memcpy(event + 1, pcs, count * sizeof(*pcs));
	pa_ring_publish(pa_record.ring, event, bytes, bytes);
	return true;
}

static PA_NOINLINE uint64_t draw_distance(struct pa_thread *thread, uint64_t rate_bytes)
{
	unsigned __int128 bytes = pa_logarithm(pa_thread_random(thread));
	bytes = bytes * rate_bytes >> PA_LOGARITHM_BITS;
	return bytes < UINT64_MAX ? (uint64_t)bytes : UINT64_MAX;
}

uint64_t pa_sample_interval(struct pa_thread *thread, uint64_t rate_bytes)
{
	PA_ASSERT(thread == &pa_thread_self);
	return rate_bytes > 1 ? draw_distance(thread, rate_bytes) : 0;
}

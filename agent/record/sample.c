#include "sample.h"

#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/logarithm.h"
#include "alloc.h"
#include "on.h"
#include "sandbox.h"
#include "stack.h"

#include "../base/banned.h"

/* How much stack a cold record may copy, and the share of the ring it may fill: deep interpreters
 * need 25 KiB from a hook to main, once per new path. */
#define COPY_MAX_BYTES ((size_t)32 << 10)
#define COPY_RING_SHARE 8

/* How long an event that must not get lost waits for room in a full ring (longer while the
 * collector is still on its way: a program that fills the ring in its first milliseconds), and for
 * how long nobody waits again after it was in vain. */
#define WAIT_ROOM_NS (100 * PA_NS_PER_MS)
#define WAIT_FIRST_NS (2 * PA_NS_PER_S)
#define WAIT_PAUSE_NS PA_NS_PER_S
static PA_ATOMIC(int64_t) wait_not_before_ns; /* relaxed: a hint */

static size_t stack_event_bytes(uint32_t depth)
{
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

static size_t copy_limit(void)
{
	size_t share = pa_ring_stats(pa_record.ring).size_bytes / COPY_RING_SHARE;
	return share < COPY_MAX_BYTES ? share : COPY_MAX_BYTES;
}

/*
 * Moves the half-walked event into a larger slot that has room for the copy. NULL: no room; the
 * event stays as it is.
 */
static struct pa_event *enlarge(struct pa_event *event, size_t have, size_t want)
{
	struct pa_event *larger = pa_ring_reserve(pa_record.ring, want);
	if (!larger)
		return NULL;
	memcpy(larger, event, stack_event_bytes(event->depth));
	pa_ring_publish(pa_record.ring, event, have, 0);
	return larger;
}

/* The ring has no room for the copy: the event goes without, or not at all. */
static bool publish_short(struct pa_event *event, size_t have, bool can_retry)
{
	event->flags |= PA_EVENT_BROKEN;
	size_t used = can_retry ? 0 : stack_event_bytes(event->depth);
	pa_ring_publish(pa_record.ring, event, have, used);
	return !can_retry;
}

/* Adds registers and stack for the collector, and publishes. False: no room, nothing published. */
static bool publish_cold(struct pa_event *event, size_t have, struct pa_walk *walk,
	const struct pa_regs *regs, bool can_retry)
{
	size_t pcs_bytes = stack_event_bytes(event->depth);
	size_t limit = copy_limit();
	size_t want = pcs_bytes + sizeof(struct pa_cold) + limit;
	struct pa_event *larger = enlarge(event, have, want);
	if (!larger)
		return publish_short(event, have, can_retry);
	struct pa_cold *cold = (struct pa_cold *)((char *)larger + pcs_bytes);
	memset(cold, 0, sizeof(*cold));
	if (regs && event->depth == 0) {
		cold->regs = *regs;
	} else {
		cold->regs.gpr[PA_REG_PC] = walk->cursor.pc;
		cold->regs.gpr[PA_REG_SP] = walk->cursor.sp;
		cold->regs.gpr[PA_REG_BP] = walk->cursor.bp;
	}
	pa_walk_copy(walk, cold, limit);
	if (walk->reader.unreadable)
		PA_COUNT_EVENT(unreadable_stacks);
	larger->flags |= PA_EVENT_COLD;
	pa_ring_publish(pa_record.ring, larger, want,
		pcs_bytes + sizeof(*cold) + cold->stack_bytes);
	/* The copy is to be used and wiped soon: the program may wipe what it is a copy of. */
	pa_ring_hurry(pa_record.ring);
	return true;
}

bool pa_sample_stack(const struct pa_event *head, const struct pa_thread *thread,
	struct pa_cursor from, const struct pa_regs *regs, bool can_retry)
{
	uint32_t max = pa_record.stack_depth;
	size_t pcs_end = stack_event_bytes(max), have = pcs_end;
	struct pa_walk walk = pa_walk_start(thread, from, head->flags & PA_EVENT_LEAF);
	bool own = pa_walk_is_own(&walk);
	if (pa_unlikely(!own))
		have += PA_WALK_ROOM_BYTES;
	struct pa_event *event = pa_ring_reserve(pa_record.ring, have);
	if (pa_unlikely(!event))
		return false;
	*event = *head;
	event->value[1] = pa_record.frames ? pa_frames_epoch(pa_record.frames) : 0;
	/* Behind the pcs, and not published. */
	walk.reader.room = own ? NULL : (char *)event + pcs_end;

	uint32_t depth;
	enum pa_walk_end end = pa_walk_run(&walk, pa_record.frames, (uintptr_t *)(event + 1), max,
		&depth);
	event->depth = (uint16_t)depth;
	if (pa_unlikely(end == PA_WALK_COLD))
		return publish_cold(event, have, &walk, regs, can_retry);
	if (pa_unlikely(walk.reader.unreadable))
		PA_COUNT_EVENT(unreadable_stacks);
	if (end == PA_WALK_CUT)
		event->flags |= PA_EVENT_CUT;
	else if (end == PA_WALK_BROKEN)
		event->flags |= PA_EVENT_BROKEN;
	pa_ring_publish(pa_record.ring, event, have, stack_event_bytes(depth));
	return true;
}

size_t pa_sample_memory_bytes(void)
{
	return pa_ring_stats(pa_record.ring).size_bytes + (pa_record.frames ? PA_FRAMES_BYTES : 0) +
		PA_ALLOC_FILTER_BYTES + pa_alloc_set_bytes() + pa_map_bytes();
}

bool pa_sample_plain(const struct pa_event *head, const uintptr_t *pcs, uint32_t count)
{
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

static PA_NOINLINE uint64_t draw(struct pa_thread *thread, uint64_t rate_bytes)
{
	unsigned __int128 bytes = pa_logarithm(pa_thread_random(thread));
	bytes = bytes * rate_bytes >> PA_LOGARITHM_BITS;
	return bytes < UINT64_MAX ? (uint64_t)bytes : UINT64_MAX;
}

uint64_t pa_sample_interval(struct pa_thread *thread, uint64_t rate_bytes)
{
	return rate_bytes > 1 ? draw(thread, rate_bytes) : 0;
}

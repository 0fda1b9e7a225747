/* SPDX-License-Identifier: Apache-2.0 */
#include "last_walk.h"

#include "../arch/arch.h"
#include "../base/arena.h"
#include "../base/assert.h"
#include "../base/atomic.h"
#include "frame_cache_inline.h"

#include "../base/banned.h"

/* A thread gets a place with its so manieth walk. */
#define WALKS_WITHOUT 16

/*
 * When the frames that were stepped by rules are so many times those of the last walk, its use is
 * judged first, and it is recorded anew.
 */
#define STEPS_TO_JUDGE 4
#define STEPS_TO_RECORD 32

/* If less than this part of the stepped frames was reused, walks go on without for some time, which
 * doubles each time. */
#define LEAST_REUSE 4
#define PAUSE_WALKS 256
#define PAUSE_DOUBLINGS 4

_Static_assert(sizeof(struct pa_last_walk) <= PA_LAST_WALK_BYTES, "the size of a place");
_Static_assert(PA_LAST_WALK_FRAMES <= UINT8_MAX, "numbers of frames in the index");

static struct {
	char *memory;
	PA_ATOMIC(uint64_t) taken; /* bit i: place i; acq_rel by CAS */
} places;

void pa_last_walk_boot(void)
{
	if (!places.memory)
		places.memory = pa_map_table(PA_LAST_WALK_PLACES * PA_LAST_WALK_BYTES);
}

size_t pa_last_walk_bytes(void)
{
	return places.memory ? PA_LAST_WALK_PLACES * PA_LAST_WALK_BYTES : 0;
}

static uint64_t place_bit(const struct pa_last_walk *last)
{
	return (uint64_t)1 << ((size_t)((const char *)last - places.memory) / PA_LAST_WALK_BYTES);
}

void pa_last_walk_atfork_child(void)
{
	const struct pa_last_walk *own = pa_thread_self.last_walk;
	pa_reset(&places.taken, own ? place_bit(own) : 0);
}

static struct pa_last_walk *claim_place(void)
{
	uint64_t taken = pa_load_relaxed(&places.taken);
	/* Ends: each failure means that another thread took or freed a place. */
	while (places.memory && ~taken) {
		size_t i = (size_t)__builtin_ctzll(~taken);
		if (pa_cas_acq_rel(&places.taken, &taken, taken | (uint64_t)1 << i))
			return (struct pa_last_walk *)(places.memory + i * PA_LAST_WALK_BYTES);
	}
	return NULL;
}

void pa_last_walk_thread_end(struct pa_thread *self)
{
	struct pa_last_walk *last = self->last_walk;
	self->last_walk_used = true;
	pa_fence_signal();
	self->last_walk = NULL;
	if (last)
		pa_sub_acq_rel(&places.taken, place_bit(last));
}

/* ------------------------------------------------------------------ recording */

/* A walk that is recorded, at a frame. */
struct recorder {
	struct pa_last_walk *last;
	const struct pa_last_walk_start *start;
	struct pa_cursor cursor;
	bool leaf;
	bool gap;                            /* the frame at cursor is not the last recorded one */
	struct pa_last_walk_frame *restored; /* the last one whose bp was read, behind a gap */
};

PA_INLINE PA_NO_ASAN PA_SIGNAL bool read_own_word(void *arg, uintptr_t at, uintptr_t *word)
{
	const struct pa_last_walk_start *start = arg;
	if (at & 7 || at < start->own_lo || at >= start->own_hi)
		return false;
	*word = *(const uintptr_t *)at;
	return true;
}

static bool is_step_kept(const struct recorder *recorder, uint64_t rule,
	const struct pa_cursor *from, uintptr_t bp_at)
{
	enum pa_rule_kind kind = rule_kind(rule);
	return (kind == PA_RULE_SP || kind == PA_RULE_BP) && from->sp >= recorder->start->own_lo &&
		recorder->cursor.sp - sizeof(uintptr_t) >= from->sp &&
		(!bp_at || bp_at >= from->sp);
}

/* Another bp than a frame pointer is any data of the program, and no copy of that stays. */
static uintptr_t kept_bp(const struct recorder *recorder)
{
	uintptr_t bp = recorder->cursor.bp;
	return bp >= recorder->start->own_lo && bp < recorder->start->own_hi ? bp : 0;
}

/* The step by rule led from `from` to the cursor. */
static void keep_frame(struct recorder *recorder, uint64_t rule, const struct pa_cursor *from)
{
	struct pa_last_walk *last = recorder->last;
	struct pa_last_walk_frame *frame = &last->frames[last->count++];
	uintptr_t bp_at = step_saved_bp(rule, from, recorder->cursor.sp);
	*frame = (struct pa_last_walk_frame){ .at = recorder->cursor.sp - sizeof(uintptr_t),
		.pc = recorder->cursor.pc,
		.bp = kept_bp(recorder) };
	if (recorder->gap || !is_step_kept(recorder, rule, from, bp_at)) {
		frame->at |= PA_LAST_WALK_GAP;
		recorder->restored = NULL;
		recorder->gap = false;
		return;
	}
	frame->bp_at = bp_at;
	if (rule_kind(rule) == PA_RULE_BP) {
		frame->at |= PA_LAST_WALK_NEEDS_BP; /* see mark_need */
		if (recorder->restored)
			recorder->restored->at |=
				recorder->restored->bp ? PA_LAST_WALK_CHECK_BP : PA_LAST_WALK_GAP;
	}
	if (bp_at)
		recorder->restored = frame;
}

/* True: the outermost frame. False: unknown, by a frame pointer only, unreadable. */
static bool record_frames(struct recorder *recorder, const struct pa_frame_cache *frames,
	uint32_t epoch)
{
	/* Ends: each step adds a frame, or is that of a signal frame, which count limits. */
	for (int i = 0; i < PA_LAST_WALK_FRAMES; i++) {
		uint64_t rule = frames_lookup(frames,
			frames_key(recorder->cursor.pc, recorder->leaf), epoch);
		enum pa_rule_kind kind = rule_kind(rule);
		struct pa_cursor from = recorder->cursor;
		if (kind == PA_RULE_END)
			return !recorder->gap;
		if (kind == PA_RULE_NONE || kind == PA_RULE_COMPLEX || kind == PA_RULE_CHAIN ||
			!step_inline(rule, &recorder->cursor, read_own_word,
				(void *)recorder->start))
			return false;
		recorder->leaf = kind == PA_RULE_SIGNAL;
		if (recorder->leaf)
			recorder->gap = true;
		else
			keep_frame(recorder, rule, &from);
	}
	return false;
}

/* A step that uses bp has marked its frame: marks those that have this bp instead. */
static bool mark_need(struct pa_last_walk_frame *frame, bool needed)
{
	bool uses = frame->at & PA_LAST_WALK_NEEDS_BP;
	frame->at &= ~PA_LAST_WALK_NEEDS_BP;
	if (needed)
		frame->at |= PA_LAST_WALK_NEEDS_BP;
	return !(frame->at & PA_LAST_WALK_GAP) && (uses || (needed && !frame->bp_at));
}

static void finish_frames(struct pa_last_walk *last)
{
	bool needed = false;
	for (uint32_t i = last->count; i-- > 0;) {
		struct pa_last_walk_frame *frame = &last->frames[i];
		needed = mark_need(frame, needed);
		/* On a collision the inner frame stays. */
		last->index[pa_last_walk_hash(frame->at)] = (uint8_t)i;
	}
}

static void record_walk(struct pa_last_walk *last, const struct pa_last_walk_start *start,
	const struct pa_frame_cache *frames, uint32_t epoch)
{
	struct recorder recorder = {
		.last = last, .start = start, .cursor = start->cursor, .leaf = start->leaf
	};
	last->own_hi = start->own_hi;
	last->epoch = epoch;
	last->count = 0;
	last->stepped = last->reused = 0;
	last->complete = record_frames(&recorder, frames, epoch);
	PA_ASSERT(last->count <= PA_LAST_WALK_FRAMES);
	finish_frames(last);
}

/* ------------------------------------------------------------------ when */

/* The next walks go on without. */
static void pause_walks(struct pa_last_walk *last)
{
	last->limit = 0;
	last->pause = PAUSE_WALKS << last->useless;
	if (last->useless < PAUSE_DOUBLINGS)
		last->useless++;
}

static bool record_again(struct pa_last_walk *last, const struct pa_last_walk_start *start,
	const struct pa_frame_cache *frames, uint32_t epoch)
{
	record_walk(last, start, frames, epoch);
	last->limit = STEPS_TO_JUDGE * last->count;
	if (!last->count)
		pause_walks(last);
	return last->count;
}

/* False: this walk is without. */
static bool bring_up_to_date(struct pa_last_walk *last, const struct pa_last_walk_start *start,
	const struct pa_frame_cache *frames, uint32_t epoch)
{
	bool reached = last->limit && last->stepped >= last->limit;
	if (last->pause && --last->pause)
		return false;
	if (reached && last->reused < last->stepped / LEAST_REUSE) {
		pause_walks(last);
		return false;
	}
	if (!reached || last->epoch != epoch || last->own_hi != start->own_hi ||
		last->limit != STEPS_TO_JUDGE * (uint32_t)last->count)
		return record_again(last, start, frames, epoch);
	last->useless = 0;
	last->limit = STEPS_TO_RECORD * last->count;
	return true;
}

/* A place for a thread that has walked some times. */
static PA_NOINLINE struct pa_last_walk *give_place(struct pa_thread *self)
{
	/* Without a notice of its end the place would stay taken. */
	if (!self->exit_noted || ++self->walks_without % WALKS_WITHOUT)
		return NULL;
	struct pa_last_walk *last = claim_place();
	if (last) {
		last->count = 0;
		last->limit = last->pause = last->useless = 0;
	}
	self->last_walk = last;
	return last;
}

PA_NOINLINE struct pa_last_walk *pa_last_walk_renew(const struct pa_last_walk_start *start,
	const struct pa_frame_cache *frames, uint32_t epoch)
{
	struct pa_thread *self = &pa_thread_self;
	if (self->last_walk_used)
		return NULL;
	self->last_walk_used = true;
	pa_fence_signal();
	struct pa_last_walk *last = self->last_walk;
	if (!last)
		last = give_place(self);
	if (last && bring_up_to_date(last, start, frames, epoch))
		return last;
	pa_fence_signal();
	self->last_walk_used = false;
	return NULL;
}

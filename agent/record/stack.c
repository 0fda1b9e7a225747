/* SPDX-License-Identifier: Apache-2.0 */
#include "stack.h"

#include <string.h>

#include "../arch/arch.h"
#include "frame_cache_inline.h"
#include "last_walk_inline.h"
#include "switches.h"
#include "peek.h"

#include "../base/banned.h"

/* Largest distance of a frame pointer above sp on such a stack, whose end is unknown. */
#define CHAIN_FOREIGN_BYTES ((uintptr_t)64 << 10)

/* So near to the first frame, an unknown one is copied with all frames before it. */
#define NEAR_FIRST_BYTES ((uintptr_t)4 << 10)

/* A frame may have saved bp below the first word that the step reads. */
#define ROOM_BELOW_BYTES ((uintptr_t)128)

/* Copies the memory around at. */
static bool fill_room(struct pa_reader *reader, uintptr_t at)
{
	uintptr_t page = at & ~(PA_PAGE_BYTES - 1);
	uintptr_t lo = at - page > ROOM_BELOW_BYTES ? at - ROOM_BELOW_BYTES : page;
	reader->far_lo = lo;
	reader->far_hi = lo + (pa_peek(reader->room, lo, PA_WALK_ROOM_BYTES) & ~(size_t)7);
	return at < reader->far_hi;
}

/* Reads a word outside of the thread's own stack into reader->word, so that no other variable of
 * the walk has its address taken. */
static PA_NOINLINE bool read_far(struct pa_reader *reader, uintptr_t at)
{
	if (!reader->room) {
		if (pa_peek(&reader->word, at, sizeof(reader->word)) == sizeof(reader->word))
			return true;
	} else if ((at >= reader->far_lo && at < reader->far_hi) || fill_room(reader, at)) {
		memcpy(&reader->word, reader->room + (at - reader->far_lo), sizeof(reader->word));
		return true;
	}
	reader->unreadable = true;
	return false;
}

PA_INLINE PA_NO_ASAN bool read_live(void *arg, uintptr_t at, uintptr_t *word)
{
	struct pa_reader *reader = arg;
	if (pa_unlikely(at & 7))
		return false;
	if (pa_likely(at >= reader->own_lo && at < reader->own_hi)) {
		*word = *(const uintptr_t *)at;
		return true;
	}
	if (!read_far(reader, at))
		return false;
	*word = reader->word;
	return true;
}

/* In code without unwind information bp may contain anything. */
static bool is_plausible(const struct pa_reader *reader, const struct pa_cursor *cursor)
{
	uintptr_t sp = cursor->sp, bp = cursor->bp;
	bool own = sp >= reader->own_lo && sp < reader->own_hi;
	uintptr_t limit = own ? reader->own_hi : sp + CHAIN_FOREIGN_BYTES;
	return !(bp & 7) && bp >= sp && bp < limit && limit - bp >= 2 * sizeof(uintptr_t);
}

/* A walk comes to frames of the last one, and leaves them, at most so many times: each costs more
 * than a step. */
#define MEETINGS 8

/* What a walk uses of the last one. */
struct earlier {
	const struct pa_last_walk *last;
	uint32_t reused; /* frames */
	uint32_t meetings;
};

/*
 * Walks up to a frame without a rule, or one that needs a second look: the result is then
 * PA_WALK_DEFERRED, with the walk at that frame. *depth pcs are present at the start. earlier: NULL
 * or a constant address.
 */
PA_INLINE PA_NO_ASAN enum pa_walk_end run_known(struct pa_walk *walk,
	const struct pa_frame_cache *frames, uint32_t epoch, uintptr_t *pcs, uint32_t max,
	uint32_t *depth, struct earlier *earlier)
{
	/* A copy that never has its address taken: stays in registers. */
	struct pa_cursor cursor = walk->cursor;
	bool leaf = walk->leaf;
	enum pa_walk_end end = PA_WALK_CUT;
	uint32_t n = *depth;
	/* Ends: at max frames; each step increases the cfa, except for signal frames, which max
	 * bounds. */
	while (n < max) {
		uint64_t rule = frames_lookup(frames, frames_key(cursor.pc, leaf), epoch);
		enum pa_rule_kind kind = rule_kind(rule);
		if (pa_unlikely(kind == PA_RULE_NONE || kind == PA_RULE_COMPLEX ||
			    kind == PA_RULE_CHAIN)) {
			end = PA_WALK_DEFERRED;
			break;
		}
		pcs[n++] = cursor.pc;
		if (pa_unlikely(kind == PA_RULE_END)) {
			end = PA_WALK_COMPLETE;
			break;
		}
		if (pa_unlikely(!step_inline(rule, &cursor, read_live, &walk->reader))) {
			end = PA_WALK_BROKEN;
			break;
		}
		leaf = kind == PA_RULE_SIGNAL;
		if (!earlier)
			continue;
		const struct pa_last_walk_frame *met =
			pa_last_walk_find(earlier->last, cursor.pc, cursor.sp);
		if (pa_unlikely(met) && !leaf && n < max &&
			earlier->meetings++ < MEETINGS + n / 4) {
			struct pa_last_walk_reached reached = pa_last_walk_follow(earlier->last,
				met, cursor, walk->reader.own_lo, pcs + n, max - n);
			n += reached.count;
			earlier->reused += reached.count;
			cursor = reached.cursor;
			if (reached.complete) {
				end = PA_WALK_COMPLETE;
				break;
			}
		}
	}
	walk->cursor = cursor;
	walk->leaf = leaf;
	*depth = n;
	return end;
}

/*
 * Steps by the frame pointer. A rule for the return address means that the collector has seen it:
 * in a frame with unwind information, or after a check that a call precedes it. PA_WALK_CUT: done;
 * PA_WALK_DEFERRED: the walk has not moved.
 */
static PA_NO_ASAN enum pa_walk_end step_chain(struct pa_walk *walk,
	const struct pa_frame_cache *frames, uint32_t epoch)
{
	struct pa_reader *reader = &walk->reader;
	uintptr_t at = walk->cursor.bp;
	struct pa_cursor next = { .sp = at + 2 * sizeof(uintptr_t) };
	if (!is_plausible(reader, &walk->cursor) || !read_live(reader, at, &next.bp) ||
		!read_live(reader, at + sizeof(uintptr_t), &next.pc))
		return PA_WALK_BROKEN;
	if (!frames_lookup(frames, frames_key(next.pc, false), epoch))
		return PA_WALK_DEFERRED;
	walk->cursor = next;
	walk->leaf = false;
	return PA_WALK_CUT;
}

/* Steps from the frame at which run_known stopped, when its frame pointer is usable:
 * PA_WALK_CUT. */
static PA_NOINLINE enum pa_walk_end run_unknown(struct pa_walk *walk,
	const struct pa_frame_cache *frames, uint32_t epoch, uintptr_t *pcs, uint32_t *depth)
{
	uintptr_t pc = walk->cursor.pc;
	uint64_t rule = frames_lookup(frames, frames_key(pc, walk->leaf), epoch);
	enum pa_walk_end end = PA_WALK_DEFERRED;
	if (rule_kind(rule) == PA_RULE_CHAIN)
		end = step_chain(walk, frames, epoch);
	if (end != PA_WALK_DEFERRED)
		pcs[(*depth)++] = pc;
	return end;
}

PA_INLINE PA_NO_ASAN enum pa_walk_end walk_to_end(struct pa_walk *walk,
	const struct pa_frame_cache *frames, uint32_t epoch, uintptr_t *pcs, uint32_t max,
	uint32_t *depth, struct earlier *earlier)
{
	/* Ends: each iteration adds a pc, up to max. */
	for (;;) {
		enum pa_walk_end end = run_known(walk, frames, epoch, pcs, max, depth, earlier);
		if (pa_likely(end != PA_WALK_DEFERRED))
			return end;
		end = run_unknown(walk, frames, epoch, pcs, depth);
		if (end != PA_WALK_CUT)
			return end;
	}
}

PA_NO_ASAN enum pa_walk_end pa_walk_run(struct pa_walk *walk, const struct pa_frame_cache *frames,
	uintptr_t *pcs, uint32_t max, uint32_t *depth)
{
	*depth = 0;
	if (!frames)
		return PA_WALK_DEFERRED;
	return walk_to_end(walk, frames, pa_load_acquire(&frames->epoch), pcs, max, depth, NULL);
}

static PA_NOINLINE struct pa_last_walk *renew_last(const struct pa_walk *walk,
	const struct pa_frame_cache *frames, uint32_t epoch)
{
	const struct pa_last_walk_start start = { .cursor = walk->cursor,
		.leaf = walk->leaf,
		.own_lo = walk->reader.own_lo,
		.own_hi = walk->reader.own_hi };
	return pa_last_walk_renew(&start, frames, epoch);
}

PA_NO_ASAN enum pa_walk_end pa_walk_run_by_last(struct pa_walk *walk,
	const struct pa_frame_cache *frames, uintptr_t *pcs, uint32_t max, uint32_t *depth)
{
	*depth = 0;
	if (!frames)
		return PA_WALK_DEFERRED;
	uint32_t epoch = pa_load_acquire(&frames->epoch);
	struct pa_last_walk *last = pa_last_walk_begin(walk->reader.own_hi, epoch);
	if (pa_unlikely(!last) && !pa_last_walk_pauses())
		last = renew_last(walk, frames, epoch);
	if (!last)
		return pa_walk_run(walk, frames, pcs, max, depth);
	struct earlier earlier = { .last = last };
	enum pa_walk_end end = walk_to_end(walk, frames, epoch, pcs, max, depth, &earlier);
	pa_last_walk_end(last, *depth, earlier.reused);
	return end;
}

/* volatile: prevents memcpy, which a sanitizer checks against its own object bounds. */
static PA_NO_ASAN void copy_words(uintptr_t *to, uintptr_t from, size_t bytes)
{
	const volatile uintptr_t *words = (const volatile uintptr_t *)from;
	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] = words[i];
}

/* Copies the thread's own stack from `from` to its top, up to max_bytes. The red zone may begin
 * below the part that is read in place. */
static void copy_own(struct pa_deferred *deferred, uintptr_t from, const struct pa_reader *reader,
	size_t max_bytes)
{
	uintptr_t lo = PA_ALIGN_UP(reader->own_lo, sizeof(uintptr_t));
	size_t below = from < lo ? lo - from : 0;
	PA_ASSERT(below <= max_bytes);
	if (below && pa_peek(deferred + 1, from, below) < below) {
		from = lo;
		below = 0;
	}
	size_t bytes = reader->own_hi - from;
	deferred->stack_at = from;
	deferred->to_stack_end = bytes <= max_bytes;
	bytes = bytes <= max_bytes ? bytes : max_bytes;
	deferred->stack_bytes = (uint32_t)bytes;
	copy_words((uintptr_t *)((char *)(deferred + 1) + below), from + below, bytes - below);
}

/* Copies what is readable at `from`. */
static void copy_foreign(struct pa_deferred *deferred, uintptr_t from, size_t max_bytes)
{
	deferred->stack_at = from;
	deferred->to_stack_end = false;
	deferred->stack_bytes = (uint32_t)pa_peek(deferred + 1, from, max_bytes) & ~7u;
}

bool pa_walk_needs_first(const struct pa_walk *walk, const struct pa_frame_cache *frames,
	uintptr_t first_sp)
{
	if (!frames)
		return false;
	uint64_t rule = frames_lookup(frames, frames_key(walk->cursor.pc, walk->leaf),
		pa_load_acquire(&frames->epoch));
	/* A frame of another stack is at any distance. The rest of the copy is for its callers. */
	uintptr_t distance = walk->cursor.sp - first_sp;
	return distance < NEAR_FIRST_BYTES ||
		(rule_kind(rule) == PA_RULE_COMPLEX && distance < pa_walk_copy_bytes(walk) / 2);
}

size_t pa_walk_copy_bytes(const struct pa_walk *walk)
{
	const struct pa_reader *reader = &walk->reader;
	bool own = pa_walk_is_own(walk);
	size_t bytes = pa_copy_size_bytes(&pa_record.copy_sizes, own);
	size_t left = reader->own_hi - walk->cursor.sp + PA_RED_ZONE_BYTES;
	if (own && bytes > left)
		bytes = left;
	return bytes > PA_COPY_SIZE_FOREIGN_BYTES ? bytes : PA_COPY_SIZE_FOREIGN_BYTES;
}

void pa_walk_copy(struct pa_walk *walk, struct pa_deferred *deferred, size_t max_bytes)
{
	uintptr_t sp = walk->cursor.sp & ~(uintptr_t)7;
	uintptr_t from = walk->leaf ? sp - PA_RED_ZONE_BYTES : sp;
	max_bytes &= ~(size_t)7;
	deferred->leaf = walk->leaf;
	deferred->own_stack = pa_walk_is_own(walk);
	if (deferred->own_stack) {
		copy_own(deferred, from, &walk->reader, max_bytes);
		return;
	}
	copy_foreign(deferred, from, max_bytes);
	/* The memory below sp may be unmapped. */
	if (!deferred->stack_bytes && from != sp)
		copy_foreign(deferred, sp, max_bytes);
	walk->reader.unreadable |= !deferred->stack_bytes;
}

#include "stack.h"

#include <string.h>

#include "frames_inline.h"
#include "on.h"
#include "peek.h"

#include "../base/banned.h"

/* How much of a stack that is not the thread's own is copied at most: coroutines are shallow. */
#define COPY_FOREIGN_BYTES ((uintptr_t)8 << 10)

/* How far above sp a frame pointer may be there: nothing tells where such a stack ends. */
#define CHAIN_FOREIGN_BYTES ((uintptr_t)64 << 10)

/* A frame's bp may have been saved below what is read of it first. */
#define ROOM_BELOW_BYTES ((uintptr_t)128)

/* Copies what is around at. */
static bool fill_room(struct pa_reader *reader, uintptr_t at)
{
	uintptr_t page = at & ~(PA_PAGE_BYTES - 1);
	uintptr_t lo = at - page > ROOM_BELOW_BYTES ? at - ROOM_BELOW_BYTES : page;
	reader->far_lo = lo;
	reader->far_hi = lo + (pa_peek(reader->room, lo, PA_WALK_ROOM_BYTES) & ~(size_t)7);
	return at < reader->far_hi;
}

/* A word that is not on the thread's own stack: reader->word, so that no other variable of the
 * walker's has an address. */
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

/* bp of code without unwind information may be anything. */
static bool is_plausible(const struct pa_reader *reader, const struct pa_cursor *cursor)
{
	uintptr_t sp = cursor->sp, bp = cursor->bp;
	bool own = sp >= reader->own_lo && sp < reader->own_hi;
	uintptr_t limit = own ? reader->own_hi : sp + CHAIN_FOREIGN_BYTES;
	return !(bp & 7) && bp >= sp && bp < limit && limit - bp >= 2 * sizeof(uintptr_t);
}

/*
 * Walks until a frame that has no rule, or one that needs a second look: PA_WALK_COLD then, and the
 * walk stands there. *depth pcs are there already.
 */
PA_INLINE PA_NO_ASAN enum pa_walk_end run_known(struct pa_walk *walk,
	const struct pa_frames *frames, uint32_t epoch, uintptr_t *pcs, uint32_t max,
	uint32_t *depth)
{
	/* A copy, whose address is not given away: it stays in registers. */
	struct pa_cursor cursor = walk->cursor;
	bool leaf = walk->leaf;
	enum pa_walk_end end = PA_WALK_CUT;
	uint32_t n = *depth;
	/* Ends: max frames; each step grows the cfa but for signal frames, which max bounds. */
	while (n < max) {
		uint64_t key = frames_key(cursor.pc, leaf);
		uint64_t rule = frames_lookup(frames, key, epoch);
		enum pa_rule_kind kind = rule_kind(rule);
		if (pa_unlikely(kind == PA_RULE_NONE || kind == PA_RULE_COMPLEX ||
			    kind == PA_RULE_CHAIN)) {
			end = PA_WALK_COLD;
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
	}
	walk->cursor = cursor;
	walk->leaf = leaf;
	*depth = n;
	return end;
}

/*
 * A step by the frame pointer. That there is a rule for the return address means that the collector
 * has met it before: as that of a frame with unwind information, or it looked whether there is a
 * call in front of it. PA_WALK_CUT: done; PA_WALK_COLD: the walk stands where it stood.
 */
static PA_NO_ASAN enum pa_walk_end step_chain(struct pa_walk *walk, const struct pa_frames *frames,
	uint32_t epoch)
{
	struct pa_reader *reader = &walk->reader;
	uintptr_t at = walk->cursor.bp;
	struct pa_cursor next = { .sp = at + 2 * sizeof(uintptr_t) };
	if (!is_plausible(reader, &walk->cursor) || !read_live(reader, at, &next.bp) ||
	    !read_live(reader, at + sizeof(uintptr_t), &next.pc))
		return PA_WALK_BROKEN;
	if (!frames_lookup(frames, frames_key(next.pc, false), epoch))
		return PA_WALK_COLD;
	walk->cursor = next;
	walk->leaf = false;
	return PA_WALK_CUT;
}

/* The frame that run_known stands at, when a frame pointer leads on: PA_WALK_CUT then. */
static PA_NOINLINE enum pa_walk_end run_unknown(struct pa_walk *walk,
	const struct pa_frames *frames, uint32_t epoch, uintptr_t *pcs, uint32_t *depth)
{
	uintptr_t pc = walk->cursor.pc;
	uint64_t rule = frames_lookup(frames, frames_key(pc, walk->leaf), epoch);
	enum pa_walk_end end = PA_WALK_COLD;
	if (rule_kind(rule) == PA_RULE_CHAIN)
		end = step_chain(walk, frames, epoch);
	if (end != PA_WALK_COLD)
		pcs[(*depth)++] = pc;
	return end;
}

PA_NO_ASAN enum pa_walk_end pa_walk_run(struct pa_walk *walk, const struct pa_frames *frames,
	uintptr_t *pcs, uint32_t max, uint32_t *depth)
{
	*depth = 0;
	if (!frames)
		return PA_WALK_COLD;
	uint32_t epoch = pa_load_acquire(&frames->epoch);
	/* Ends: each turn adds a pc, and max bounds them. */
	for (;;) {
		enum pa_walk_end end = run_known(walk, frames, epoch, pcs, max, depth);
		if (pa_likely(end != PA_WALK_COLD))
			return end;
		end = run_unknown(walk, frames, epoch, pcs, depth);
		if (end != PA_WALK_CUT)
			return end;
	}
}

/* volatile: no memcpy, which a sanitizer would check by its own idea of whose bytes these are. */
static PA_NO_ASAN void copy_words(uintptr_t *to, uintptr_t from, size_t bytes)
{
	const volatile uintptr_t *words = (const volatile uintptr_t *)from;
	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] = words[i];
}

/* The thread's own stack from there to its top, as far as there is room. */
static void copy_own(struct pa_cold *cold, uintptr_t from, uintptr_t end, size_t max_bytes)
{
	cold->stack_at = from;
	cold->to_stack_end = end - from <= max_bytes;
	cold->stack_bytes = (uint32_t)(end - from <= max_bytes ? end - from : max_bytes);
	copy_words((uintptr_t *)(cold + 1), from, cold->stack_bytes);
}

/* What can be read from at, and not far: what lies above such a stack is something else. */
static void copy_foreign(struct pa_cold *cold, uintptr_t from, size_t max_bytes)
{
	size_t bytes = max_bytes < COPY_FOREIGN_BYTES ? max_bytes : COPY_FOREIGN_BYTES;
	cold->stack_at = from;
	cold->to_stack_end = false;
	cold->stack_bytes = (uint32_t)pa_peek(cold + 1, from, bytes) & ~7u;
}

void pa_walk_copy(struct pa_walk *walk, struct pa_cold *cold, size_t max_bytes)
{
	const struct pa_reader *reader = &walk->reader;
	uintptr_t sp = walk->cursor.sp & ~(uintptr_t)7;
	uintptr_t from = walk->leaf ? sp - PA_RED_ZONE_BYTES : sp;
	max_bytes &= ~(size_t)7;
	cold->leaf = walk->leaf;
	if (from >= reader->own_lo && from < reader->own_hi) {
		copy_own(cold, from, reader->own_hi, max_bytes);
		return;
	}
	copy_foreign(cold, from, max_bytes);
	/* Below sp there may be nothing. */
	if (!cold->stack_bytes && from != sp)
		copy_foreign(cold, sp, max_bytes);
	walk->reader.unreadable |= !cold->stack_bytes;
}

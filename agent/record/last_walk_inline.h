/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a walk follows the last one, as inline functions: a call, with a cursor in memory both ways,
 * would take as long as seven frames. Include only in stack.c. Context: PA_SIGNAL.
 *
 * PA_NO_ASAN, as the walks that they become part of (frame_cache_inline.h).
 */
#ifndef PA_LAST_WALK_INLINE_H
#define PA_LAST_WALK_INLINE_H

#include "last_walk.h"

/* How far a walk has come. */
struct pa_last_walk_reached {
	struct pa_cursor cursor;
	uint32_t count; /* of pcs written */
	bool complete;  /* the pc of the outermost frame too */
};

/* bp in the frame `to`, when it is bp in the frame `from`. */
PA_INLINE PA_NO_ASAN uintptr_t last_walk_bp_of(const struct pa_last_walk_frame *from,
	const struct pa_last_walk_frame *to, uintptr_t bp)
{
	for (; to > from; to--)
		if (to->bp_at)
			return *(const uintptr_t *)to->bp_at;
	return bp;
}

PA_INLINE PA_NO_ASAN bool last_walk_is_unchanged(const struct pa_last_walk_frame *frame)
{
	uintptr_t at = frame->at;
	if (at & PA_LAST_WALK_FLAGS) {
		if (at & PA_LAST_WALK_GAP)
			return false;
		if (at & PA_LAST_WALK_CHECK_BP && *(const uintptr_t *)frame->bp_at != frame->bp)
			return false;
		at &= ~PA_LAST_WALK_FLAGS;
	}
	return *(const uintptr_t *)at == frame->pc;
}

/* Most frames have no flags, and are unchanged: so many take three branches. Unrolled by hand: gcc
 * leaves loops. */
#define LAST_WALK_TOGETHER 4

/* Not 0: the frame, which has no flags, is changed. */
PA_INLINE PA_NO_ASAN uintptr_t last_walk_difference_of(const struct pa_last_walk_frame *frame)
{
	return *(const uintptr_t *)frame->at ^ frame->pc;
}

/* False also where one of them has flags. */
PA_INLINE PA_NO_ASAN bool last_walk_are_unchanged(const struct pa_last_walk_frame *frames)
{
	if ((frames[0].at | frames[1].at | frames[2].at | frames[3].at) & PA_LAST_WALK_FLAGS)
		return false;
	return !(last_walk_difference_of(&frames[0]) | last_walk_difference_of(&frames[1]) |
		last_walk_difference_of(&frames[2]) | last_walk_difference_of(&frames[3]));
}

PA_INLINE void last_walk_write_pcs(uintptr_t *pcs, const struct pa_last_walk_frame *frames)
{
	pcs[0] = frames[0].pc;
	pcs[1] = frames[1].pc;
	pcs[2] = frames[2].pc;
	pcs[3] = frames[3].pc;
}

/* The outermost frame from `frame` to end that is unchanged with all before it. Writes the pcs of
 * those. */
PA_INLINE PA_NO_ASAN const struct pa_last_walk_frame *
last_walk_skip_unchanged(const struct pa_last_walk_frame *frame,
	const struct pa_last_walk_frame *end, uintptr_t *pcs)
{
	while (frame < end) {
		for (; end - frame >= LAST_WALK_TOGETHER && last_walk_are_unchanged(frame + 1);
			pcs += LAST_WALK_TOGETHER) {
			last_walk_write_pcs(pcs, frame);
			frame += LAST_WALK_TOGETHER;
		}
		for (int i = 0; i < LAST_WALK_TOGETHER && frame < end; i++) {
			if (!last_walk_is_unchanged(frame + 1))
				return frame;
			*pcs++ = (frame++)->pc;
		}
	}
	return frame;
}

/*
 * The walk is at cursor, which is the given frame. Writes pcs, that of cursor first, while the
 * frames are those of the last walk; at most max > 0.
 */
PA_INLINE PA_NO_ASAN struct pa_last_walk_reached
pa_last_walk_follow(const struct pa_last_walk *last, const struct pa_last_walk_frame *frame,
	struct pa_cursor cursor, uintptr_t own_lo, uintptr_t *pcs, uint32_t max)
{
	const struct pa_last_walk_frame *from = frame, *outermost = last->frames + last->count - 1;
	PA_ASSERT(frame >= last->frames && frame <= outermost && max);
	PA_ASSERT(frame->pc == cursor.pc &&
		(frame->at ^ (cursor.sp - sizeof(uintptr_t))) <= PA_LAST_WALK_FLAGS);
	bool same_bp = frame->bp && frame->bp == cursor.bp;
	if (cursor.sp < own_lo || (!same_bp && frame->at & PA_LAST_WALK_NEEDS_BP))
		return (struct pa_last_walk_reached){ .cursor = cursor };
	const struct pa_last_walk_frame *end = frame;
	end += outermost - frame < max ? outermost - frame : max - 1;
	frame = last_walk_skip_unchanged(frame, end, pcs);
	uint32_t count = (uint32_t)(frame - from);
	if (frame == outermost && last->complete) {
		pcs[count] = frame->pc;
		return (struct pa_last_walk_reached){ .count = count + 1, .complete = true };
	}
	cursor.bp = last_walk_bp_of(from, frame, cursor.bp);
	cursor.pc = frame->pc;
	cursor.sp = (frame->at & ~PA_LAST_WALK_FLAGS) + sizeof(uintptr_t);
	return (struct pa_last_walk_reached){ .cursor = cursor, .count = count };
}

#endif

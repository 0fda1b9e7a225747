/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stack walk of the calling thread, in any context (PA_SIGNAL): rules from the frame cache, no
 * lock, no system call while all rules are cached and the stack is the thread's own, < 1 KiB of
 * stack. Plain loads go only to the thread's own stack (thread.h). All other memory (coroutines,
 * alternate stacks, stacks of raw clones, any address in a register) is copied by the kernel, a
 * piece at a time, and may be unmapped concurrently: the stack then ends there, which is counted.
 */
#ifndef PA_STACK_H
#define PA_STACK_H

#include "event.h"
#include "frame_cache.h"
#include "stack_bounds.h"
#include "thread.h"

enum pa_walk_end {
	PA_WALK_COMPLETE, /* outermost frame reached */
	PA_WALK_CUT,      /* depth limit, frames are missing */
	PA_WALK_DEFERRED, /* the rule of cursor.pc is unknown, or a frame pointer is not
			   * verified: the collector must complete the stack */
	PA_WALK_BROKEN    /* a rule could not be applied */
};

/* Buffer for a copied piece of a stack. Multiple of 8. */
#define PA_WALK_ROOM_BYTES ((size_t)1 << 10)

/* Sources of stack words. */
struct pa_reader {
	uintptr_t own_lo, own_hi; /* the thread's own stack, read in place; 0, 0: unknown */
	uintptr_t far_lo, far_hi; /* range of the copied piece in room */
	char *room;               /* PA_WALK_ROOM_BYTES, aligned to 8. NULL: word by word */
	uintptr_t word;           /* the last word read outside of the own stack */
	bool unreadable;          /* a read has failed */
};

/* State of a walk; on the stack of the walking thread. */
struct pa_walk {
	struct pa_cursor cursor; /* the next frame to record */
	bool leaf;               /* cursor.pc is an interrupted instruction */
	struct pa_reader reader;
};

/* Starts at cursor, on the calling thread. Inline: builds the struct in place. */
PA_INLINE struct pa_walk pa_walk_start(const struct pa_thread *thread, struct pa_cursor cursor,
	bool leaf)
{
	/* With the red zone: pa_walk_copy would read it by a system call each time. */
	uintptr_t lowest = leaf ? cursor.sp - PA_RED_ZONE_BYTES : cursor.sp;
	if (pa_unlikely(pa_stack_bounds_may_extend(thread, lowest)))
		pa_stack_bounds_extend(lowest);
	/* Where the red zone is not readable. */
	if (pa_unlikely(pa_stack_bounds_may_extend(thread, cursor.sp)))
		pa_stack_bounds_extend(cursor.sp);
	return (struct pa_walk){
		.cursor = cursor,
		.leaf = leaf,
		.reader = { .own_lo = thread->stack_lo, .own_hi = thread->stack_hi },
	};
}

/* True when the cursor is on the thread's own stack. Otherwise a room makes the walk faster. */
PA_INLINE bool pa_walk_is_own(const struct pa_walk *walk)
{
	return walk->cursor.sp >= walk->reader.own_lo && walk->cursor.sp < walk->reader.own_hi;
}

/*
 * Writes at most max pcs, innermost first; *depth is their number. At PA_WALK_DEFERRED the walk is
 * at the first frame that was not written.
 */
PA_SIGNAL enum pa_walk_end pa_walk_run(struct pa_walk *walk, const struct pa_frame_cache *frames,
	uintptr_t *pcs, uint32_t max, uint32_t *depth);

/* As pa_walk_run, with what the last walk of the thread found (last_walk.h). For walks that start
 * on the thread's own stack. */
PA_SIGNAL enum pa_walk_end pa_walk_run_by_last(struct pa_walk *walk,
	const struct pa_frame_cache *frames, uintptr_t *pcs, uint32_t max, uint32_t *depth);

/*
 * True when the collector needs all registers of the first frame to step from the frame at which
 * the walk was deferred (PA_RULE_COMPLEX), or may need them and the frame is near.
 */
PA_SIGNAL bool pa_walk_needs_first(const struct pa_walk *walk, const struct pa_frame_cache *frames,
	uintptr_t first_sp);

/* Bytes that pa_walk_copy should copy, PA_COPY_SIZE_FOREIGN_BYTES at least, by what stacks before
 * needed. */
PA_SIGNAL size_t pa_walk_copy_bytes(const struct pa_walk *walk);

/* Copies at most max_bytes of the stack from walk->cursor.sp upwards, and fills deferred except for
 * its registers. The copy directly follows *deferred. */
PA_SIGNAL void pa_walk_copy(struct pa_walk *walk, struct pa_deferred *deferred, size_t max_bytes);

#endif

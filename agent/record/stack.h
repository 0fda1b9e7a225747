/*
 * Walking the stack of the calling thread, in any context (PA_SIGNAL): rules from the frame cache,
 * no lock, no system call while everything is known and the stack is the thread's own, < 1 KiB of
 * stack. Plain loads go to the thread's own stack (thread.h) only. Anything else (coroutines,
 * alternate stacks, stacks of raw clones, wherever a register points) is copied by the kernel, a
 * piece at a time, and may be unmapped meanwhile: then the stack ends there, and is counted.
 */
#ifndef PA_STACK_H
#define PA_STACK_H

#include "event.h"
#include "frames.h"
#include "thread.h"

enum pa_walk_end {
	PA_WALK_COMPLETE, /* outermost frame reached */
	PA_WALK_CUT,      /* max pcs, and there is more */
	PA_WALK_COLD,     /* the rule of cursor.pc is not known, or what a frame pointer says is not
	                     proven: the collector must finish it */
	PA_WALK_BROKEN    /* a rule could not be applied */
};

/* Room for a copied piece of a stack. Multiple of 8. */
#define PA_WALK_ROOM_BYTES ((size_t)1 << 10)

/* Where words are read from. */
struct pa_reader {
	uintptr_t own_lo, own_hi; /* the thread's own stack: itself; 0, 0: unknown */
	uintptr_t far_lo, far_hi; /* a copied piece: room */
	char *room;               /* PA_WALK_ROOM_BYTES, aligned to 8. NULL: word by word */
	uintptr_t word;           /* the last one that was not on the own stack */
	bool unreadable;          /* a read has failed */
};

/* A walk in motion; lives on the stack of the walking thread. */
struct pa_walk {
	struct pa_cursor cursor; /* the frame to report next */
	bool leaf;               /* cursor.pc is an interrupted instruction */
	struct pa_reader reader;
};

/* Starts at cursor, on the calling thread. Inline: the walk is made where it is to be. */
PA_INLINE struct pa_walk pa_walk_start(const struct pa_thread *thread, struct pa_cursor cursor,
	bool leaf)
{
	if (pa_unlikely(pa_thread_may_extend(thread, cursor.sp)))
		pa_thread_extend_stack(cursor.sp);
	return (struct pa_walk){
		.cursor = cursor,
		.leaf = leaf,
		.reader = { .own_lo = thread->stack_lo, .own_hi = thread->stack_hi },
	};
}

/* True when the cursor is on the thread's own stack. Else the walk is faster with a room. */
PA_INLINE bool pa_walk_is_own(const struct pa_walk *walk)
{
	return walk->cursor.sp >= walk->reader.own_lo && walk->cursor.sp < walk->reader.own_hi;
}

/*
 * Writes at most max pcs, innermost first; *depth is how many. When the end is PA_WALK_COLD the
 * walk stands at the first frame that is not among them.
 */
PA_SIGNAL enum pa_walk_end pa_walk_run(struct pa_walk *walk, const struct pa_frames *frames,
	uintptr_t *pcs, uint32_t max, uint32_t *depth);

/* Copies at most max_bytes of the stack from walk->cursor.sp up, fills cold but for its registers.
 * The copy goes right behind *cold. */
PA_SIGNAL void pa_walk_copy(struct pa_walk *walk, struct pa_cold *cold, size_t max_bytes);

#endif

/*
 * Walking the stack of the calling thread, in any context (PA_SIGNAL): rules from the frame cache,
 * no lock, no system call while everything is known and the stack is the thread's own, < 1 KiB of
 * stack. Nothing is read that is not proven readable: on the thread's own stack from sp to its top,
 * elsewhere (alternate stacks, coroutines) page by page as the kernel says.
 */
#ifndef PA_STACK_H
#define PA_STACK_H

#include "event.h"
#include "frames.h"
#include "thread.h"

enum pa_walk_end {
	PA_WALK_COMPLETE, /* outermost frame reached */
	PA_WALK_CUT,      /* max pcs, and there is more */
	PA_WALK_COLD,     /* the rule of cursor.pc is not known: somebody must finish it */
	PA_WALK_BROKEN    /* a rule could not be applied */
};

/* Memory that is proven readable: [lo, hi). */
struct pa_window {
	uintptr_t lo, hi;
};

/* A walk in motion; lives on the stack of the walking thread. */
struct pa_walk {
	struct pa_cursor cursor; /* the frame to report next */
	bool leaf;               /* cursor.pc is an interrupted instruction */
	struct pa_window window;
	uintptr_t own_lo, own_hi; /* the thread's own stack from the walk's start; 0: not on it */
};

/* Starts at cursor, on the calling thread. */
PA_SIGNAL struct pa_walk pa_walk_start(const struct pa_thread *thread, struct pa_cursor cursor,
	bool leaf);

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

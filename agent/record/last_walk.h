/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last walk of a thread: where its return addresses and frame pointers stood, and their values.
 * The next walk of the thread steps by rules until it comes to a frame of the last one. Further out
 * it compares the words, with loads that do not depend on each other, while they are the same.
 *
 * A walk is determined by its cursor, the rules and the words that it reads. So a walk that comes
 * to a cursor of the last one goes on as that did, as long as the rules are the same (the epoch),
 * and each word that the rules use stands where it stood. See docs/decisions/49-last-walk.md.
 *
 * Only words of the thread's own stack are kept (thread.h), above the stack pointer of the frame
 * that they belong to, and only steps of PA_RULE_SP and PA_RULE_BP. Other steps leave a gap, which
 * is stepped by its rule.
 *
 * Threads that sample get one of PA_LAST_WALK_PLACES places after some walks, until they end; the
 * others walk without. The memory is mapped at boot, and touched by threads that have a place. A
 * walk in a signal handler that interrupts another walk of the same thread uses none.
 *
 * Context: PA_SIGNAL on the thread itself unless stated otherwise. No lock, no system call.
 */
#ifndef PA_LAST_WALK_H
#define PA_LAST_WALK_H

#include "frame_cache.h"
#include "thread.h"

#define PA_LAST_WALK_PLACES 64 /* bits of one word */
#define PA_LAST_WALK_BYTES ((size_t)8 << 10)
#define PA_LAST_WALK_INDEX 256 /* a power of two */
#define PA_LAST_WALK_FRAMES 246

/* A frame that was stepped to. */
struct pa_last_walk_frame {
	uintptr_t at; /* where its pc stood: sp - 8; and flags of the step to it */
	uintptr_t pc;
	uintptr_t bp_at; /* where its bp stood; 0: it is that of the frame before */
	uintptr_t bp;    /* 0: not an address of the thread's own stack */
};

/* In the low bits of at. */
#define PA_LAST_WALK_CHECK_BP ((uintptr_t)1) /* a later step uses the bp that was read */
#define PA_LAST_WALK_NEEDS_BP ((uintptr_t)2) /* a later step uses bp as it is in this frame */
#define PA_LAST_WALK_GAP ((uintptr_t)4)      /* the step is to be made by its rule */
#define PA_LAST_WALK_FLAGS ((uintptr_t)7)

/* Accessed by its thread only; valid while the thread's walk is not marked as running. */
struct pa_last_walk {
	uintptr_t own_hi;                  /* of the thread, as then */
	uint32_t epoch;                    /* of the rules */
	uint16_t count;                    /* of frames, innermost first */
	bool complete;                     /* the last frame is the outermost one */
	uint8_t useless;                   /* times in a row that it was recorded for nothing */
	uint32_t stepped, reused;          /* frames of walks since it was recorded */
	uint32_t limit;                    /* of stepped: pa_last_walk_renew looks at both then */
	uint32_t pause;                    /* walks without it, from now on */
	uint8_t index[PA_LAST_WALK_INDEX]; /* numbers of frames by place, of some */
	struct pa_last_walk_frame frames[PA_LAST_WALK_FRAMES];
};

/* Maps the places. Without memory no walk uses one. */
PA_BOOT void pa_last_walk_boot(void);

/* Bytes of the places, touched or not. */
PA_SIGNAL size_t pa_last_walk_bytes(void);

/* Frees the places of threads that the child does not have. */
PA_BOOT void pa_last_walk_atfork_child(void);

/* The calling thread ends: frees its place, and walks without from now on. */
PA_SIGNAL void pa_last_walk_thread_end(struct pa_thread *self);

/* Where a walk starts, and the bounds of the thread's own stack. */
struct pa_last_walk_start {
	struct pa_cursor cursor;
	bool leaf;
	uintptr_t own_lo, own_hi;
};

/*
 * Before a walk of the calling thread that starts on its own stack. NULL: without. Else up to date:
 * recorded anew when it was stale or of little use; pa_last_walk_end follows.
 */
PA_SIGNAL struct pa_last_walk *pa_last_walk_renew(const struct pa_last_walk_start *start,
	const struct pa_frame_cache *frames, uint32_t epoch);

/* True: this walk is without, as the last one was of little use. */
PA_INLINE bool pa_last_walk_pauses(void)
{
	struct pa_last_walk *last = pa_thread_self.last_walk;
	if (!last || last->pause <= 1)
		return false;
	last->pause--;
	return true;
}

/* As pa_last_walk_renew, for a last walk that need not be recorded anew; else NULL. */
PA_INLINE struct pa_last_walk *pa_last_walk_begin(uintptr_t own_hi, uint32_t epoch)
{
	struct pa_thread *self = &pa_thread_self;
	struct pa_last_walk *last = self->last_walk;
	if (!last || self->last_walk_used)
		return NULL;
	self->last_walk_used = true;
	pa_fence_signal();
	if (pa_likely(last->stepped < last->limit && last->epoch == epoch &&
		    last->own_hi == own_hi))
		return last;
	pa_fence_signal();
	self->last_walk_used = false;
	return NULL;
}

/* After the walk: of its depth frames, reused were compared only. */
PA_INLINE void pa_last_walk_end(struct pa_last_walk *last, uint32_t depth, uint32_t reused)
{
	PA_ASSERT(pa_thread_self.last_walk_used && reused <= depth);
	last->stepped += depth - reused;
	last->reused += reused;
	pa_fence_signal();
	pa_thread_self.last_walk_used = false;
}

/* The cfa is a multiple of 16 nearly always (the ABI's alignment). */
PA_INLINE uint32_t pa_last_walk_hash(uintptr_t at)
{
	return at >> 4 & (PA_LAST_WALK_INDEX - 1);
}

/* The frame with these pc and sp. NULL: none. A cache miss at most, no dependency of later steps
 * on it. */
PA_INLINE const struct pa_last_walk_frame *pa_last_walk_find(const struct pa_last_walk *last,
	uintptr_t pc, uintptr_t sp)
{
	uintptr_t at = sp - sizeof(uintptr_t);
	uint32_t i = last->index[pa_last_walk_hash(at)];
	const struct pa_last_walk_frame *frame = &last->frames[i];
	return pa_unlikely((frame->at ^ at) <= PA_LAST_WALK_FLAGS) && frame->pc == pc &&
			i < last->count ?
		frame :
		NULL;
}

#endif

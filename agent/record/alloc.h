/*
 * Sampling of allocations: which ones, and which frees belong to them.
 *
 * Context: PA_APP, called from the slow halves of the malloc hooks; the fast halves are
 * inline here.
 *
 * A counting filter, one byte per page of addresses (addr >> 12, folded), answers "surely not a
 * sampled object" for nearly all frees with one load; behind it stands the exact set of sampled
 * addresses. Both grow only with what is sampled. Insertion comes after the real allocation and
 * before the program gets the pointer, removal before the real free; an address that is still there
 * when it is handed out again, since its free went past us, is taken out first. So none is ever in
 * the set twice.
 */
#ifndef PA_ALLOC_H
#define PA_ALLOC_H

#include "../base/atomic.h"
#include "regs.h"
#include "thread.h"

#define PA_ALLOC_FILTER_BYTES ((size_t)1 << 20)

/* Relaxed: an address is freed only after the program got it, and so after its count was raised. */
extern PA_ATOMIC(uint8_t) pa_alloc_filter[PA_ALLOC_FILTER_BYTES] PA_HIDDEN;

/* The count of the page that pointer is on. */
PA_INLINE PA_ATOMIC(uint8_t) *pa_alloc_filter_of(const void *pointer)
{
	size_t slot = (uintptr_t)pointer >> PA_PAGE_SHIFT & (PA_ALLOC_FILTER_BYTES - 1);
	return &pa_alloc_filter[slot];
}

/* 1 load, 1 shift, 1 mask: true when the pointer may be a sampled object (or bootstrap memory). */
PA_INLINE bool pa_alloc_maybe_sampled(const void *pointer)
{
	return pa_regs_is_set(pa_alloc_filter_of(pointer));
}

/* Counts bytes down; true when this allocation is not to be sampled. Costs 1 subtraction in TLS,
 * 1 branch. After false, pa_alloc_due has to be asked: it sets the countdown right. */
PA_INLINE bool pa_alloc_skip(size_t bytes)
{
	return pa_regs_count_down(&pa_thread_self.heap_left, bytes);
}

/*
 * pa_alloc_skip said false to an allocation of bytes: true when it is to be recorded (then call
 * record with the result); false when recording is off, or this is our own work. Draws the next
 * interval.
 */
PA_APP bool pa_alloc_due(struct pa_thread *thread, size_t bytes);

/* The program got pointer of bytes from the caller at from. NULL is ignored. errno kept. */
PA_APP void pa_alloc_record(struct pa_thread *thread, void *pointer, size_t bytes,
	struct pa_cursor from);

/*
 * pointer is about to be freed or reallocated. True when it was a sampled object: it is not one any
 * more, and the free was recorded. errno kept.
 */
PA_APP bool pa_alloc_forget(struct pa_thread *thread, void *pointer);

/* The free that pa_alloc_forget just recorded did not happen: realloc failed. */
PA_APP void pa_alloc_revive(struct pa_thread *thread, void *pointer);

/* Marks a range for ever, so that frees of it take the slow path. Boot, single-threaded or not. */
PA_APP void pa_alloc_mark_range(const void *begin, size_t bytes);

/*
 * Frees of these pages take the slow path until they are unmarked as often: they may be blocks of
 * own_memory.h. Any thread.
 */
PA_APP void pa_alloc_mark(const void *begin, size_t bytes);
PA_APP void pa_alloc_unmark(const void *begin, size_t bytes);

/* Bytes mapped for the exact set. Statistics only. */
PA_SIGNAL size_t pa_alloc_set_bytes(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation sampling: chooses the allocations to record and recognizes the frees of recorded ones.
 *
 * Context: PA_APP, called by the slow halves of the malloc hooks; the fast halves are inline here.
 * No lock.
 *
 * A counting filter, one byte per page of addresses (addr >> 12, folded), answers "not a sampled
 * object" for nearly all frees with one load; behind it is the exact set (alloc_set.h). Both
 * grow only with the number of sampled objects. Insertion follows the real allocation and precedes
 * the return to the program; removal precedes the real free. An address that is in the set when it
 * is allocated again (its free bypassed the hook) is removed first: no address is in the set twice.
 *
 * An allocation whose event is lost stays in the set with a mark: its free is only counted. When
 * the set is full (14 levels, or no memory), the event has no object. At rate 1 a free that is not
 * in the set is one of those then, and counted; at other rates it may be of any object that was
 * not sampled.
 *
 * At rate 1 an allocation is counted at once if the collector knows its stack and size
 * (alloc_counts.h), and its free as well: neither has an event.
 */
#ifndef PA_ALLOC_H
#define PA_ALLOC_H

#include "../base/atomic.h"
#include "../arch/arch.h"
#include "thread.h"

#define PA_ALLOC_FILTER_BYTES ((size_t)1 << (32 - PA_PAGE_SHIFT))

/* Relaxed: the program frees an address only after the hook returned it, which is after the count
 * was incremented. */
extern PA_ATOMIC(uint8_t) pa_alloc_filter[PA_ALLOC_FILTER_BYTES] PA_HIDDEN;

/* The count of the page that pointer is on. */
PA_INLINE PA_ATOMIC(uint8_t) *pa_alloc_filter_of(const void *pointer)
{
	return &pa_alloc_filter[(uint32_t)(uintptr_t)pointer >> PA_PAGE_SHIFT];
}

/* 1 load, 1 shift: true when the pointer may be a sampled object (or bootstrap memory). */
PA_INLINE bool pa_alloc_maybe_sampled(const void *pointer)
{
	return pa_arch_is_set(pa_alloc_filter_of(pointer));
}

/* Subtracts bytes from the countdown; true when this allocation is not a sample. 1 subtraction in
 * TLS, 1 branch. After false the caller must call pa_alloc_due, which resets the countdown. */
PA_INLINE bool pa_alloc_skip(size_t bytes)
{
	return pa_arch_count_down(&pa_thread_self.heap_left, bytes);
}

/*
 * No allocation of the calling thread is sampled or counted from pause to resume: what libc
 * allocates for a call of the agent's own (pthread_create, pthread_setspecific) is not the
 * program's. Returns what resume takes. On a thread of the agent both do nothing.
 */
PA_APP uint64_t pa_alloc_pause(struct pa_thread *thread);
PA_APP void pa_alloc_resume(struct pa_thread *thread, uint64_t left);

/*
 * After pa_alloc_skip returned false for an allocation of bytes: true when it is to be recorded
 * (call pa_alloc_record with the result); false when recording is off or the call is the agent's
 * own. Draws the next interval.
 */
PA_APP bool pa_alloc_due(struct pa_thread *thread, size_t bytes);

/* The allocation returned pointer to the caller at from. NULL is ignored. errno kept. < 2 KiB of
 * stack at rate 1. */
PA_APP void pa_alloc_record(struct pa_thread *thread, void *pointer, size_t bytes,
	struct pa_cursor from);

struct pa_alloc_forgotten {
	bool was_sampled; /* and recorded */
	uint16_t number;  /* for pa_alloc_revive */
};

/*
 * Before pointer is freed or reallocated: removes it if it was a recorded object, and records the
 * free. errno kept.
 */
PA_APP struct pa_alloc_forgotten pa_alloc_forget(struct pa_thread *thread, void *pointer);

/*
 * Forgets all objects whose address has bit 0 set (inner_alloc.h): their frees are not seen any
 * more. Records nothing. Concurrent calls of the functions above are safe; an object that they add
 * meanwhile may stay, until its address is recorded again.
 */
PA_APP void pa_alloc_forget_marked(void);

/* Undoes pa_alloc_forget, which returned forgotten, after a failed realloc. */
PA_APP void pa_alloc_revive(struct pa_thread *thread, void *pointer,
	struct pa_alloc_forgotten forgotten);

/* In a forked child whose collector has lost its buckets: the frees of all objects so far are
 * events. */
PA_BOOT void pa_alloc_abandon_counts(void);

/* Marks a range permanently: frees of it take the slow path. At boot, with or without other
 * threads. */
PA_APP void pa_alloc_mark_range(const void *begin, size_t bytes);

/*
 * Frees in these pages take the slow path until unmarked as often as marked: they may be blocks of
 * own_memory.h. Any thread.
 */
PA_APP void pa_alloc_mark(const void *begin, size_t bytes);
PA_APP void pa_alloc_unmark(const void *begin, size_t bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "memlock.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../arch/arch.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "sandbox.h"

#include "../base/banned.h"

#define STACKS 32

/* Between the thread's start frame and the unlocked range: pages that it will touch. */
#define USED_STACK_BYTES ((size_t)16 << 10)

/* A guard page, which some versions of glibc include in the size, and rounding. */
#define STACK_END_BYTES ((size_t)2 * PA_PAGE_BYTES)

#define WALK_POLL_NS (PA_NS_PER_MS / 10)

static struct {
	PA_ATOMIC(int) flags;      /* of the mlockall in force; relaxed */
	PA_ATOMIC(uint32_t) walks; /* stack walks in progress; acq_rel */
	struct pa_own_map stacks[STACKS];
} state;

static void unlock_memory(void *memory, size_t bytes)
{
	int saved_errno = errno;

	if (pa_sandbox_begin(&pa_thread_self, PA_CALLS_UNLOCK)) {
		munlock(memory, bytes);
		pa_sandbox_end();
	}
	errno = saved_errno;
}

void pa_memlock_boot(void)
{
	pa_own_maps()->unlock = unlock_memory;
}

void pa_memlock_atfork_child(void)
{
	pa_reset(&pa_own_maps()->locked, 0);
	pa_reset(&state.flags, 0);
	pa_reset(&state.walks, 0);
	for (size_t i = 0; i < STACKS; i++)
		pa_reset(&state.stacks[i].start, 0);
}

void pa_memlock_before(int flags)
{
	pa_store_relaxed(&state.flags, flags);
	pa_store_release(&pa_own_maps()->locked, 1);
}

static void unlock_stack(const struct pa_own_map *stack)
{
	uintptr_t start = pa_load_acquire(&stack->start);

	if (start)
		unlock_memory((void *)start, pa_load_relaxed(&stack->bytes));
}

void pa_memlock_after(void)
{
	pa_own_maps_unlock_all();
	pa_add_acq_rel(&state.walks, 1);
	for (size_t i = 0; i < STACKS; i++)
		unlock_stack(&state.stacks[i]);
	pa_sub_acq_rel(&state.walks, 1);
}

void pa_memlock_ended(void)
{
	pa_store_relaxed(&state.flags, 0);
	pa_store_release(&pa_own_maps()->locked, 0);
}

/* ---- stacks ---- */

/* The unused part of the stack below the calling function; 0 bytes: none. glibc has the thread
 * descriptor on the last page of the stack. */
static size_t unused_stack(size_t stack_bytes, uintptr_t *start)
{
	uintptr_t top = PA_ALIGN_UP((uintptr_t)pthread_self() + 1, PA_PAGE_BYTES);
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t end = (here - USED_STACK_BYTES) & ~(PA_PAGE_BYTES - 1);

	*start = top - stack_bytes + STACK_END_BYTES;
	return end > *start && end < top ? end - *start : 0;
}

static struct pa_own_map *take_place(uintptr_t start, size_t bytes)
{
	PA_ASSERT(start && bytes);
	for (size_t i = 0; i < STACKS; i++) {
		uintptr_t free = 0;

		if (!pa_cas_acq_rel(&state.stacks[i].start, &free, start))
			continue;
		pa_store_relaxed(&state.stacks[i].bytes, bytes);
		return &state.stacks[i];
	}
	return NULL;
}

struct pa_own_map *pa_memlock_enter_thread(size_t stack_bytes)
{
	uintptr_t start;
	size_t bytes = unused_stack(stack_bytes, &start);
	struct pa_own_map *stack = bytes ? take_place(start, bytes) : NULL;

	if (!stack || !pa_own_maps_are_locked())
		return stack;
	unlock_stack(stack);
	/* mlockall populated the pages; they contain nothing yet. */
	madvise((void *)start, bytes, MADV_DONTNEED);
	return stack;
}

static void lock_again(uintptr_t start, size_t bytes)
{
	PA_ASSERT(!(start & (PA_PAGE_BYTES - 1)));
	int flags = pa_load_relaxed(&state.flags);

	if (!(flags & MCL_FUTURE) || !pa_sandbox_begin(&pa_thread_self, PA_CALLS_UNLOCK))
		return;
	pa_arch_syscall(SYS_mlock2, (long)start, (long)bytes,
		flags & MCL_ONFAULT ? MLOCK_ONFAULT : 0, 0);
	pa_sandbox_end();
}

void pa_memlock_leave_thread(struct pa_own_map *stack)
{
	if (!stack)
		return;
	uintptr_t start = pa_load_relaxed(&stack->start);
	size_t bytes = pa_load_relaxed(&stack->bytes);
	PA_ASSERT(start && bytes);
	pa_store_relaxed(&stack->bytes, 0);
	pa_store_release(&stack->start, 0);
	/* Ends: a walk takes microseconds, and walks that begin now do not use this stack. */
	while (pa_load_acquire(&state.walks))
		pa_futex_sleep(WALK_POLL_NS);
	lock_again(start, bytes);
}

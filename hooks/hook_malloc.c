/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The malloc family. Each hook has a fast half (count down, jump to the real function: no frame, no
 * call) and a slow half, which has a frame, finds its caller and records.
 *
 * Cost of the fast halves beyond the real function: malloc 4 instructions (countdown in TLS,
 * branch, jump), free 6 (one load of the filter).
 */
#include <errno.h>
#include <string.h>

#include "../agent/arch/arch.h"
#include "../agent/record/alloc.h"
#include "../agent/record/own_memory.h"
#include "own_malloc.h"
#include "real.h"

#include "../agent/base/banned.h"

/* Bytes of an array, or a number that no allocator can satisfy. */
PA_INLINE size_t array_bytes(size_t count, size_t bytes)
{
	size_t all;
	return __builtin_mul_overflow(count, bytes, &all) ? 0 : all;
}

/* True on an agent thread, whose countdown is 0: uses the agent's own memory. */
PA_INLINE bool is_own_thread(void)
{
	if (pa_likely(pa_thread_self.role != PA_ROLE_AGENT))
		return false;
	pa_thread_self.heap_left = 0; /* the fast half subtracted the bytes */
	return true;
}

/*
 * Slow half of a function that returns memory: real call, then the record with the frame of the
 * program's call, which the jump from the fast half left unchanged.
 */
#define RECORD_RESULT(alignment, bytes, real_call)                                  \
	do {                                                                        \
		PA_CALM_FLAGS();                                                    \
		if (pa_unlikely(is_own_thread()))                                   \
			return pa_own_memory_alloc((alignment), (bytes));           \
		struct pa_cursor caller = PA_CURSOR_OF_CALLER();                    \
		bool due = pa_alloc_due(&pa_thread_self, (bytes));                  \
		void *pointer = (real_call);                                        \
		if (due)                                                            \
			pa_alloc_record(&pa_thread_self, pointer, (bytes), caller); \
		return pointer;                                                     \
	} while (0)

static PA_SLOW void *malloc_slow(size_t bytes)
{
	RECORD_RESULT(0, bytes, pa_real.malloc(bytes));
}

void *malloc(size_t bytes)
{
	if (pa_likely(pa_alloc_skip(bytes)))
		return pa_real.malloc(bytes);
	return malloc_slow(bytes);
}

static PA_SLOW void *calloc_slow(size_t count, size_t bytes)
{
	if (pa_unlikely(is_own_thread()))
		return pa_own_malloc.calloc(count, bytes);
	RECORD_RESULT(0, array_bytes(count, bytes), pa_real.calloc(count, bytes));
}

void *calloc(size_t count, size_t bytes)
{
	if (pa_likely(pa_alloc_skip(array_bytes(count, bytes))))
		return pa_real.calloc(count, bytes);
	return calloc_slow(count, bytes);
}

static PA_SLOW void *memalign_slow(size_t alignment, size_t bytes)
{
	RECORD_RESULT(alignment, bytes, pa_real.memalign(alignment, bytes));
}

void *memalign(size_t alignment, size_t bytes)
{
	if (pa_likely(pa_alloc_skip(bytes)))
		return pa_real.memalign(alignment, bytes);
	return memalign_slow(alignment, bytes);
}

static PA_SLOW void *aligned_alloc_slow(size_t alignment, size_t bytes)
{
	RECORD_RESULT(alignment, bytes, pa_real.aligned_alloc(alignment, bytes));
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	if (pa_likely(pa_alloc_skip(bytes)))
		return pa_real.aligned_alloc(alignment, bytes);
	return aligned_alloc_slow(alignment, bytes);
}

static PA_SLOW void *valloc_slow(size_t bytes)
{
	RECORD_RESULT(PA_PAGE_BYTES, bytes, pa_real.valloc(bytes));
}

void *valloc(size_t bytes)
{
	if (pa_likely(pa_alloc_skip(bytes)))
		return pa_real.valloc(bytes);
	return valloc_slow(bytes);
}

static PA_SLOW void *pvalloc_slow(size_t bytes)
{
	RECORD_RESULT(PA_PAGE_BYTES, PA_ALIGN_UP(bytes, PA_PAGE_BYTES), pa_real.pvalloc(bytes));
}

void *pvalloc(size_t bytes)
{
	if (pa_likely(pa_alloc_skip(bytes)))
		return pa_real.pvalloc(bytes);
	return pvalloc_slow(bytes);
}

static PA_SLOW int posix_memalign_slow(void **out, size_t alignment, size_t bytes)
{
	PA_CALM_FLAGS();
	if (pa_unlikely(is_own_thread()))
		return pa_own_malloc.posix_memalign(out, alignment, bytes);
	struct pa_cursor caller = PA_CURSOR_OF_CALLER();
	bool due = pa_alloc_due(&pa_thread_self, bytes);
	int error = pa_real.posix_memalign(out, alignment, bytes);
	if (due && !error)
		pa_alloc_record(&pa_thread_self, *out, bytes, caller);
	return error;
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
	if (pa_likely(pa_alloc_skip(bytes)))
		return pa_real.posix_memalign(out, alignment, bytes);
	return posix_memalign_slow(out, alignment, bytes);
}

/* A block of the bootstrap allocator moves to the real one when it is resized. */
static void *leave_bootstrap(void *old, size_t bytes)
{
	void *pointer = pa_real.malloc(bytes);
	size_t had = pa_real_bootstrap_size(old);
	if (pointer)
		memcpy(pointer, old, had < bytes ? had : bytes);
	return pointer;
}

/*
 * A free and an allocation. The free is recorded first, since the old address may be another
 * thread's object before the real call returns; if the call fails, the object is restored.
 */
static PA_SLOW void *realloc_slow(void *old, size_t bytes, bool skip)
{
	PA_CALM_FLAGS();
	struct pa_cursor caller = PA_CURSOR_OF_CALLER();
	if (is_own_thread() && !old)
		return pa_own_memory_alloc(0, bytes);
	if (old && pa_own_memory_has(old))
		return pa_own_malloc_move(old, bytes);
	bool due = !skip && pa_alloc_due(&pa_thread_self, bytes);
	if (pa_real_is_bootstrap(old))
		return leave_bootstrap(old, bytes);
	struct pa_alloc_forgotten forgotten = { .was_sampled = false };
	if (old && pa_alloc_maybe_sampled(old))
		forgotten = pa_alloc_forget(&pa_thread_self, old);
	void *pointer = pa_real.realloc(old, bytes);
	if (forgotten.was_sampled && !pointer && bytes)
		pa_alloc_revive(&pa_thread_self, old, forgotten);
	if (due)
		pa_alloc_record(&pa_thread_self, pointer, bytes, caller);
	return pointer;
}

void *realloc(void *old, size_t bytes)
{
	bool skip = pa_alloc_skip(bytes);
	if (pa_likely(skip) && pa_likely(!pa_alloc_maybe_sampled(old)))
		return pa_real.realloc(old, bytes);
	return realloc_slow(old, bytes, skip);
}

/* The real function checks the multiplication; without overflow it is a realloc. */
void *reallocarray(void *old, size_t count, size_t bytes)
{
	size_t all;
	if (__builtin_mul_overflow(count, bytes, &all))
		return pa_real.reallocarray(old, count, bytes);
	bool skip = pa_alloc_skip(all);
	if (pa_likely(skip) && pa_likely(!pa_alloc_maybe_sampled(old)))
		return pa_real.realloc(old, all);
	return realloc_slow(old, all, skip);
}

/* True when the pointer needs no real free: bootstrap memory is never freed, the agent's does not
 * belong to the program's allocator. */
static bool forget_pointer(void *pointer)
{
	if (pa_real_is_bootstrap(pointer))
		return true;
	if (pa_own_memory_has(pointer)) {
		pa_own_memory_free(pointer);
		return true;
	}
	pa_alloc_forget(&pa_thread_self, pointer);
	return false;
}

static PA_SLOW void free_slow(void *pointer)
{
	PA_CALM_FLAGS();
	if (!forget_pointer(pointer))
		pa_real.free(pointer);
}

void free(void *pointer)
{
	if (pa_likely(!pa_alloc_maybe_sampled(pointer)))
		return pa_real.free(pointer);
	free_slow(pointer);
}

static PA_SLOW void free_sized_slow(void *pointer, size_t bytes)
{
	PA_CALM_FLAGS();
	if (!forget_pointer(pointer))
		pa_real.free_sized(pointer, bytes);
}

void free_sized(void *pointer, size_t bytes)
{
	if (pa_likely(!pa_alloc_maybe_sampled(pointer)))
		return pa_real.free_sized(pointer, bytes);
	free_sized_slow(pointer, bytes);
}

static PA_SLOW void free_aligned_sized_slow(void *pointer, size_t alignment, size_t bytes)
{
	PA_CALM_FLAGS();
	if (!forget_pointer(pointer))
		pa_real.free_aligned_sized(pointer, alignment, bytes);
}

void free_aligned_sized(void *pointer, size_t alignment, size_t bytes)
{
	if (pa_likely(!pa_alloc_maybe_sampled(pointer)))
		return pa_real.free_aligned_sized(pointer, alignment, bytes);
	free_aligned_sized_slow(pointer, alignment, bytes);
}

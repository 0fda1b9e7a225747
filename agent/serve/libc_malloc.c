/* SPDX-License-Identifier: Apache-2.0 */
/* malloc and its family for our libraries: see libc_shims.h. */
#include "libc_shims.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "../base/atomic.h"
#include "../base/thread_slot.h"
#include "../core/core.h"

/* For allocations of library constructors before the bridge is set; the present libraries make
 * none. */
#define EARLY_BYTES 16384
#define EARLY_ALIGN 16

static struct {
	PA_ATOMIC(size_t) early_used; /* only grows; acq_rel */
	_Alignas(EARLY_ALIGN) char early[EARLY_BYTES];
} state;

/* The size of each block is stored in the EARLY_ALIGN bytes before it. Blocks are zeroed, because
 * none is reused. */
static void *early_alloc(size_t bytes)
{
	if (bytes > EARLY_BYTES)
		return NULL;
	size_t need = EARLY_ALIGN + PA_ALIGN_UP(bytes, EARLY_ALIGN);
	size_t at = pa_add_acq_rel(&state.early_used, need);
	if (at > EARLY_BYTES - need || need > EARLY_BYTES) {
		errno = ENOMEM;
		return NULL;
	}
	memcpy(state.early + at, &bytes, sizeof(bytes));
	return state.early + at + EARLY_ALIGN;
}

static bool is_early(const void *block)
{
	uintptr_t at = (uintptr_t)block, begin = (uintptr_t)state.early;
	return at >= begin && at < begin + EARLY_BYTES;
}

static size_t early_size(const void *block)
{
	size_t bytes;
	memcpy(&bytes, (const char *)block - EARLY_ALIGN, sizeof(bytes));
	return bytes;
}

void *malloc(size_t bytes)
{
	pa_thread_slot_follow_orders(); /* reading symbols runs for long without waiting, but
					 * calls malloc
					 * often */
	return pa_core_bridge ? pa_core_bridge->memory.malloc(bytes) : early_alloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	size_t all;
	pa_thread_slot_follow_orders();
	if (pa_core_bridge)
		return pa_core_bridge->memory.calloc(count, bytes);
	return __builtin_mul_overflow(count, bytes, &all) ? NULL : early_alloc(all);
}

void free(void *block)
{
	pa_thread_slot_follow_orders();
	if (block && pa_core_bridge && !is_early(block))
		pa_core_bridge->memory.free(block);
}

void *realloc(void *block, size_t bytes)
{
	if (!block)
		return malloc(bytes);
	if (!is_early(block))
		return pa_core_bridge->memory.realloc(block, bytes);
	void *moved = malloc(bytes);
	if (moved)
		memcpy(moved, block, bytes < early_size(block) ? bytes : early_size(block));
	return moved;
}

int posix_memalign(void **block, size_t alignment, size_t bytes)
{
	if (pa_core_bridge)
		return pa_core_bridge->memory.posix_memalign(block, alignment, bytes);
	void *early = alignment <= EARLY_ALIGN ? early_alloc(bytes) : NULL;
	if (!early)
		return ENOMEM;
	*block = early;
	return 0;
}

void *memalign(size_t alignment, size_t bytes)
{
	void *block;
	int error = posix_memalign(&block, alignment < sizeof(void *) ? sizeof(void *) : alignment,
		bytes);
	if (!error)
		return block;
	errno = error;
	return NULL;
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	if (pa_core_bridge)
		return pa_core_bridge->memory.aligned_alloc(alignment, bytes);
	return memalign(alignment, bytes);
}

/* libc's uses the malloc of the executable, if it defines one; its block would come to our free().
 * libdw calls it for the names of supplementary files. */
char *strdup(const char *text)
{
	size_t bytes = strlen(text) + 1;
	char *copy = malloc(bytes);
	return copy ? memcpy(copy, text, bytes) : NULL;
}

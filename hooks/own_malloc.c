/* SPDX-License-Identifier: Apache-2.0 */
#include "own_malloc.h"

#include <errno.h>
#include <string.h>

#include "../agent/record/own_memory.h"
#include "real.h"

#include "../agent/base/banned.h"

static void *own_malloc(size_t bytes)
{
	return pa_own_memory_alloc(0, bytes);
}

static void *own_calloc(size_t count, size_t bytes)
{
	size_t all;
	if (__builtin_mul_overflow(count, bytes, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	void *block = pa_own_memory_alloc(0, all);
	return block ? memset(block, 0, all) : NULL;
}

static void own_free(void *block)
{
	if (!block)
		return;
	if (pa_own_memory_has(block))
		pa_own_memory_free(block);
	else
		pa_real.free(block);
}

static void *move_to(void *old, void *fresh, size_t bytes)
{
	size_t had = pa_own_memory_size(old);
	if (!fresh)
		return NULL;
	memcpy(fresh, old, had < bytes ? had : bytes);
	pa_own_memory_free(old);
	return fresh;
}

/* A block stays in place while at least half of it is used. */
static void *own_realloc(void *old, size_t bytes)
{
	if (!old)
		return pa_own_memory_alloc(0, bytes);
	if (!pa_own_memory_has(old))
		return pa_real.realloc(old, bytes);
	size_t had = pa_own_memory_size(old);
	if (bytes <= had && bytes >= had / 2)
		return old;
	return move_to(old, pa_own_memory_alloc(0, bytes), bytes);
}

void *pa_own_malloc_move(void *old, size_t bytes)
{
	if (pa_thread_self.role == PA_ROLE_AGENT)
		return own_realloc(old, bytes);
	return move_to(old, pa_real.malloc(bytes), bytes);
}

static void *own_aligned_alloc(size_t alignment, size_t bytes)
{
	return pa_own_memory_alloc(alignment, bytes);
}

/* posix_memalign(3): errno is not set. */
static int own_posix_memalign(void **out, size_t alignment, size_t bytes)
{
	int saved_errno = errno;
	bool is_power = alignment >= sizeof(void *) && !(alignment & (alignment - 1));
	void *block = is_power ? pa_own_memory_alloc(alignment, bytes) : NULL;
	errno = saved_errno;
	if (!block)
		return is_power ? ENOMEM : EINVAL;
	*out = block;
	return 0;
}

const struct pa_bridge_malloc pa_own_malloc = {
	.malloc = own_malloc,
	.calloc = own_calloc,
	.realloc = own_realloc,
	.free = own_free,
	.posix_memalign = own_posix_memalign,
	.aligned_alloc = own_aligned_alloc,
};

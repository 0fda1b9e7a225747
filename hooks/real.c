/* SPDX-License-Identifier: Apache-2.0 */
#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "../agent/arch/arch.h"
#include "../agent/base/atomic.h"
#include "../agent/record/alloc.h"
#include "next_symbols.h"
#include "stand_in.h"

#include "../agent/base/banned.h"

/*
 * The bootstrap allocator: dlsym may allocate before malloc is resolved. A static area whose blocks
 * are never freed; its pages are marked permanently in the filter of frees, so that free recognizes
 * them on its slow path.
 */
#define BOOTSTRAP_BYTES ((size_t)64 << 10)
static PA_LARGE struct {
	char memory[BOOTSTRAP_BYTES] __attribute__((aligned(PA_PAGE_BYTES)));
	PA_ATOMIC(size_t) used; /* relaxed: only the addition has to be atomic */
} bootstrap;

/* Calls of pa_real_resolve on this thread: allocations come from the bootstrap area. */
static PA_TLS uint8_t resolving;

/* The size precedes each block. NULL when the area is full. */
static void *bootstrap_alloc(size_t alignment, size_t bytes)
{
	const size_t header = 16;
	if (alignment < header)
		alignment = header;
	pa_alloc_mark_range(bootstrap.memory, sizeof(bootstrap.memory));
	if (bytes > BOOTSTRAP_BYTES || alignment > BOOTSTRAP_BYTES) {
		errno = ENOMEM;
		return NULL;
	}
	size_t need = PA_ALIGN_UP(bytes, header) + header + alignment;
	size_t at = pa_add_relaxed(&bootstrap.used, need);
	if (at + need > BOOTSTRAP_BYTES) {
		errno = ENOMEM;
		return NULL;
	}
	uintptr_t block = PA_ALIGN_UP((uintptr_t)bootstrap.memory + at + header, alignment);
	memcpy((void *)(block - sizeof(bytes)), &bytes, sizeof(bytes));
	return (void *)block;
}

bool pa_real_is_bootstrap(const void *pointer)
{
	return (uintptr_t)pointer - (uintptr_t)bootstrap.memory < BOOTSTRAP_BYTES;
}

size_t pa_real_bootstrap_size(const void *pointer)
{
	size_t bytes;
	memcpy(&bytes, (const char *)pointer - sizeof(bytes), sizeof(bytes));
	return bytes;
}

/* Stubs of the malloc family: the first call resolves; calls while resolving use the area. */

static void *boot_malloc(size_t bytes)
{
	if (resolving)
		return bootstrap_alloc(0, bytes);
	pa_real_resolve();
	return pa_real.malloc(bytes);
}

static void *boot_calloc(size_t count, size_t bytes)
{
	size_t all;
	if (resolving)
		return __builtin_mul_overflow(count, bytes, &all) ? NULL : bootstrap_alloc(0, all);
	pa_real_resolve();
	return pa_real.calloc(count, bytes);
}

/* While resolving, only bootstrap memory can get here. */
static void *boot_realloc(void *pointer, size_t bytes)
{
	if (!resolving) {
		pa_real_resolve();
		return pa_real.realloc(pointer, bytes);
	}
	void *block = bootstrap_alloc(0, bytes);
	if (block && pointer) {
		size_t had = pa_real_bootstrap_size(pointer);
		memcpy(block, pointer, had < bytes ? had : bytes);
	}
	return block;
}

static void *boot_reallocarray(void *pointer, size_t count, size_t bytes)
{
	pa_real_resolve();
	return pa_real.reallocarray(pointer, count, bytes);
}

static void boot_free(void *pointer)
{
	if (resolving || !pointer)
		return;
	pa_real_resolve();
	pa_real.free(pointer);
}

static void *boot_memalign(size_t alignment, size_t bytes)
{
	if (resolving)
		return bootstrap_alloc(alignment, bytes);
	pa_real_resolve();
	return pa_real.memalign(alignment, bytes);
}

static int boot_posix_memalign(void **out, size_t alignment, size_t bytes)
{
	pa_real_resolve();
	return pa_real.posix_memalign(out, alignment, bytes);
}

static void *boot_aligned_alloc(size_t alignment, size_t bytes)
{
	pa_real_resolve();
	return pa_real.aligned_alloc(alignment, bytes);
}

static void *boot_valloc(size_t bytes)
{
	pa_real_resolve();
	return pa_real.valloc(bytes);
}

static void *boot_pvalloc(size_t bytes)
{
	pa_real_resolve();
	return pa_real.pvalloc(bytes);
}

/*
 * Functions of a newer libc, looked up at their first call: a failing dlsym costs 12 us, which a
 * short-lived program should not pay at its start. Where missing, a call is a plain free.
 */

static PA_ENTRY void boot_free_sized(void *pointer, size_t bytes)
{
	PA_CALM_FLAGS();
	void (*found)(void *, size_t) = NULL;
	*(void **)&found = dlsym(RTLD_NEXT, "free_sized");
	if (!found)
		return pa_real.free(pointer);
	pa_store_plain(&pa_real.free_sized, found);
	found(pointer, bytes);
}

static PA_ENTRY void boot_free_aligned_sized(void *pointer, size_t alignment, size_t bytes)
{
	PA_CALM_FLAGS();
	void (*found)(void *, size_t, size_t) = NULL;
	*(void **)&found = dlsym(RTLD_NEXT, "free_aligned_sized");
	if (!found)
		return pa_real.free(pointer);
	pa_store_plain(&pa_real.free_aligned_sized, found);
	found(pointer, alignment, bytes);
}

struct pa_real pa_real = {
	.malloc = boot_malloc,
	.calloc = boot_calloc,
	.realloc = boot_realloc,
	.reallocarray = boot_reallocarray,
	.free = boot_free,
	.free_sized = boot_free_sized,
	.free_aligned_sized = boot_free_aligned_sized,
	.memalign = boot_memalign,
	.posix_memalign = boot_posix_memalign,
	.aligned_alloc = boot_aligned_alloc,
	.valloc = boot_valloc,
	.pvalloc = boot_pvalloc,
};

/* For pa_next_symbols_find, in the order of struct pa_real; empty where not required. */
static const char next_names[] =
#define NAME_true(name) #name "\0"
#define NAME_false(name) "\0"
#define NAME(name, result, parameters, required) NAME_##required(name)
	PA_HOOKS(NAME)
#undef NAME
#define NAME(name, result, parameters) NAME_true(name)
		PA_NEXTS(NAME)
#undef NAME
	;

#define POINTERS (sizeof(struct pa_real) / sizeof(void *))

/* Those that the pass left out. libc also has an old version with another layout of pthread_cond_t:
 * looks up the new version, to which callers of the hooks are bound. */
static void find_versioned(struct pa_real *found)
{
	const char *version = PA_ARCH_COND_VERSION;
#define FIND(name)                                                                  \
	do {                                                                        \
		if (!found->name && version)                                        \
			*(void **)&found->name = dlvsym(RTLD_NEXT, #name, version); \
	} while (0)
	FIND(pthread_cond_wait);
	FIND(pthread_cond_timedwait);
	FIND(pthread_cond_signal);
	FIND(pthread_cond_broadcast);
#undef FIND
}

/* Loops, here and below: 150 times the same code would be pages that each start reads. */
static void find_rest(void **found)
{
	const char *name = next_names;
	for (size_t i = 0; i < POINTERS; i++, name += strlen(name) + 1)
		if (*name && !found[i])
			found[i] = dlsym(RTLD_NEXT, name);
}

/* In the order of the lists: what a stand-in calls comes before it. */
static void store_found(void *const *found)
{
	void **pointers = (void **)&pa_real;
	for (size_t i = 0; i < POINTERS; i++)
		if (found[i])
			pa_store_plain(&pointers[i], found[i]);
}

/*
 * Several threads may be here at once before boot: all store the same pointers. A missing symbol
 * keeps its stub, or NULL; those that an old libc lacks have stand-ins.
 */
PA_ENTRY void pa_real_resolve(void)
{
	PA_CALM_FLAGS();
	if (resolving > 1)
		return;
	int saved_errno = errno;
	struct pa_real found = { 0 };
	/* strcmp of the pass may be that of a sanitizer in the executable, which starts at its
	 * first call, and calls hooks. */
	if (!resolving++)
		pa_next_symbols_find(next_names, (void **)&found, POINTERS);
	find_versioned(&found);
	find_rest((void **)&found);
	pa_stand_in_fill(&found, &pa_real);
	store_found((void **)&found);
	resolving--;
	errno = saved_errno;
}

void *pa_real_find(const char *name)
{
	int saved_errno = errno;
	void *found = dlsym(RTLD_NEXT, name);
	errno = saved_errno;
	return found;
}

struct pa_code pa_real_allocator;

/*
 * libc's allocator is one object file: functions called by its exported ones precede them, and
 * malloc_info is its last function.
 */
void pa_real_find_allocator(void)
{
	const uintptr_t inner_bytes = 0x5000, last_bytes = 0x80;
	uintptr_t first = (uintptr_t)dlsym(RTLD_DEFAULT, "__libc_malloc");
	uintptr_t last = (uintptr_t)dlsym(RTLD_DEFAULT, "malloc_info");
	if (first > inner_bytes && last > first && last - first < inner_bytes)
		pa_real_allocator = (struct pa_code){ first - inner_bytes, last + last_bytes };
}

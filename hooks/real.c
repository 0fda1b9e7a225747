#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <gnu/lib-names.h>
#include <gnu/libc-version.h>
#include <string.h>

#include "../agent/base/atomic.h"
#include "../agent/base/clock.h"
#include "../agent/record/alloc.h"
#include "../agent/record/process.h"
#include "own_malloc.h"

#include "../agent/base/banned.h"

/*
 * The bootstrap allocator: dlsym may allocate, and then there is no malloc yet to give it. A static
 * area, handed out once and never taken back; its pages are marked in the free filter for ever, so
 * that free recognises it on its slow path.
 */
#define BOOTSTRAP_BYTES ((size_t)64 << 10)
static struct {
	char memory[BOOTSTRAP_BYTES] __attribute__((aligned(4096)));
	PA_ATOMIC(size_t) used; /* relaxed: only the arithmetic has to be atomic */
} bootstrap;

/* Inside pa_real_resolve on this thread: allocations come from the bootstrap area. */
static PA_TLS bool resolving;

/* The size stands in front of each block. NULL when the area is used up. */
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

/* Stubs of the malloc family: first call resolves, calls from inside resolving get the area. */

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

/* While resolving, nothing but bootstrap memory can come in here. */
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
 * Functions of a newer libc, looked up at their first call: a dlsym that fails costs 12 us, which
 * no short-lived program should pay at its start. Without one, a call means a plain free.
 */

static PA_ENTRY void boot_free_sized(void *pointer, size_t bytes)
{
	PA_CALM_FLAGS();
	void (*found)(void *, size_t) = NULL;
	*(void **)&found = dlsym(RTLD_NEXT, "free_sized");
	if (!found)
		return pa_real.free(pointer);
	pa_store_release(&pa_real.free_sized, found);
	found(pointer, bytes);
}

static PA_ENTRY void boot_free_aligned_sized(void *pointer, size_t alignment, size_t bytes)
{
	PA_CALM_FLAGS();
	void (*found)(void *, size_t, size_t) = NULL;
	*(void **)&found = dlsym(RTLD_NEXT, "free_aligned_sized");
	if (!found)
		return pa_real.free(pointer);
	pa_store_release(&pa_real.free_aligned_sized, found);
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

/* Where libc has an old version with another layout of pthread_cond_t: the one that our callers,
 * who are bound to the new version, mean. */
static void find_versioned(struct pa_real *found)
{
	static const char version[] = "GLIBC_2.3.2";
#define FIND(name)                                                                                \
	do {                                                                                      \
		void *versioned = dlvsym(RTLD_NEXT, #name, version);                              \
		if (versioned)                                                                    \
			*(void **)&found->name = versioned;                                       \
	} while (0)
	FIND(pthread_cond_wait);
	FIND(pthread_cond_timedwait);
	FIND(pthread_cond_signal);
	FIND(pthread_cond_broadcast);
#undef FIND
}

/*
 * Several threads may be here at once before boot: each finds the same pointers. A symbol that is
 * nowhere keeps its stub, or stays NULL.
 */
PA_ENTRY void pa_real_resolve(void)
{
	PA_CALM_FLAGS();
	if (resolving)
		return;
	int saved_errno = errno;
	resolving = true;
	struct pa_real found = { 0 };
#define FIND(name, result, parameters, required)                                                  \
	if (required)                                                                             \
		*(void **)&found.name = dlsym(RTLD_NEXT, #name);
	PA_HOOKS(FIND)
#undef FIND
#define FIND(name, result, parameters) *(void **)&found.name = dlsym(RTLD_NEXT, #name);
	PA_NEXTS(FIND)
#undef FIND
	find_versioned(&found);
#define STORE(name, ...)                                                                          \
	if (found.name)                                                                           \
		pa_store_release(&pa_real.name, found.name);
	PA_HOOKS(STORE)
	PA_NEXTS(STORE)
#undef STORE
	resolving = false;
	errno = saved_errno;
}

struct pa_code pa_real_allocator;

/*
 * libc's allocator is one object file: what its exported functions call lies in front of them, and
 * malloc_info is its last function.
 */
static void find_allocator(void)
{
	const uintptr_t inner_bytes = 0x5000, last_bytes = 0x80;
	uintptr_t first = (uintptr_t)dlsym(RTLD_DEFAULT, "__libc_malloc");
	uintptr_t last = (uintptr_t)dlsym(RTLD_DEFAULT, "malloc_info");
	if (first > inner_bytes && last > first && last - first < inner_bytes)
		pa_real_allocator = (struct pa_code){ first - inner_bytes, last + last_bytes };
}

/* Is what the name is bound to in libc itself? */
static bool is_of_libc(void *bound)
{
	Dl_info seen, libc;
	return bound && dladdr(bound, &seen) && dladdr((void *)gnu_get_libc_version, &libc) &&
		seen.dli_fbase == libc.dli_fbase;
}

/* Not the next one: libfaketime's comes after us. Opening libc costs memory that it never gives
 * back, so only where its own is hidden. */
static void find_clock(void)
{
	int (*own)(clockid_t, struct timespec *) = NULL;
	if (is_of_libc(dlsym(RTLD_DEFAULT, "clock_gettime")))
		return;
	void *libc = PA_REAL(dlopen)(LIBC_SO, RTLD_LAZY | RTLD_NOLOAD);
	if (libc)
		*(void **)&own = dlsym(libc, "clock_gettime");
	if (own)
		pa_clock_use(own);
}

/* In a build of ours with the address sanitizer, which stands before us: memory of its own. */
static struct pa_real_memory choose_memory(void)
{
	struct pa_real_memory memory = pa_own_malloc;
#ifdef __SANITIZE_ADDRESS__
#define FIND(name) *(void **)&memory.name = dlsym(RTLD_DEFAULT, #name)
	FIND(malloc);
	FIND(calloc);
	FIND(realloc);
	FIND(free);
	FIND(posix_memalign);
	FIND(aligned_alloc);
#undef FIND
#endif
	return memory;
}

/* ASan aborts on the flag that binds deeply. A build of ours with it goes behind its back. */
void *pa_hooks_open_core(const char *path)
{
	const int flags = RTLD_NOW | RTLD_LOCAL;
#ifdef __SANITIZE_ADDRESS__
	return PA_REAL(dlopen)(path, flags | RTLD_DEEPBIND);
#else
	return dlopen(path, flags | RTLD_DEEPBIND);
#endif
}

void pa_hooks_boot(struct pa_bridge *bridge)
{
	pa_real_resolve();
	find_allocator();
	find_clock();
	bridge->memory = choose_memory();
	bridge->program_malloc = pa_real.malloc;
	bridge->sigaction = pa_real.sigaction;
	bridge->pthread_sigmask = pa_real.pthread_sigmask;
	pa_hooks_key_boot();
	pa_hooks_watch(false);
}

/*
 * Why the program's calls of a symbol do not come to us, or NULL. RTLD_DEFAULT finds what the
 * program is bound to; our own symbol's address would not do for comparison, since it is bound like
 * theirs.
 */
static const char *inactive_reason(const char *name, bool has_real, bool required)
{
	Dl_info seen, ours;
	if (!has_real && required)
		return "no other definition of it was found";
	void *bound = dlsym(RTLD_DEFAULT, name);
	if (!bound || !dladdr(bound, &seen) || !dladdr(&bootstrap, &ours))
		return NULL;
	if (seen.dli_fbase != ours.dli_fbase)
		return "the program or a library before us defines it";
	return NULL;
}

size_t pa_hooks_status(struct pa_hook_status *out, size_t max)
{
	size_t count = 0;
#define STATUS(symbol, result, parameters, required)                                              \
	if (count < max) {                                                                        \
		const char *why = inactive_reason(#symbol, pa_real.symbol != NULL, required);     \
		out[count++] = (struct pa_hook_status){ #symbol, why == NULL, why };              \
	}
	PA_HOOKS(STATUS)
#undef STATUS
	return count;
}

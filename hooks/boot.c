/* SPDX-License-Identifier: Apache-2.0 */
/* Boot of the hooks: real functions, clock, memory, switches; and dlopen of the core. */
#include <dlfcn.h>

#include "../agent/core/bridge.h"
#include "../agent/base/clock.h"
#include "../agent/record/process.h"
#include "next_symbols.h"
#include "own_malloc.h"
#include "real.h"

#include "../agent/base/banned.h"

/*
 * Another definition than libc's may belong to a sanitizer, or change the time (libfaketime). Not
 * by dlopen of libc: the loader would allocate memory that it never frees, and LeakSanitizer
 * reports it, since a hook is its caller.
 */
static void find_clock(void)
{
	int (*own)(clockid_t, struct timespec *) = NULL;
	*(void **)&own = pa_next_symbols_of_libc("clock_gettime");
	if (own && dlsym(RTLD_DEFAULT, "clock_gettime") != (void *)own)
		pa_clock_use(own);
}

/* In an address sanitizer build of the agent, where libasan precedes it: memory of its own. */
static struct pa_bridge_malloc choose_memory(void)
{
	struct pa_bridge_malloc memory = pa_own_malloc;
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

/* ASan aborts on RTLD_DEEPBIND. A sanitizer build of the agent bypasses its dlopen. */
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
	pa_real_find_allocator();
	find_clock();
	bridge->memory = choose_memory();
	bridge->program_malloc = pa_real.malloc;
	bridge->sigaction = pa_real.sigaction;
	bridge->pthread_sigmask = pa_real.pthread_sigmask;
	pa_hooks_key_boot();
	pa_hooks_syscall_boot();
	pa_hooks_watch(false);
}

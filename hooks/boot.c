/* SPDX-License-Identifier: Apache-2.0 */
/* Boot of the hooks: real functions, clock, memory, switches; and dlopen of the core. */
#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <gnu/libc-version.h>
#include <link.h>

#include "../agent/core/bridge.h"
#include "../agent/base/clock.h"
#include "../agent/base/phdr.h"
#include "../agent/record/process.h"
#include "own_malloc.h"
#include "real.h"

#include "../agent/base/banned.h"

struct two_places {
	uintptr_t a, b;
	bool in_one_object;
};

static int look_for_both(struct dl_phdr_info *object, size_t size, void *given)
{
	(void)size;
	struct two_places *places = given;
	const ElfW(Phdr) *headers = object->dlpi_phdr;
	uintptr_t bias = object->dlpi_addr;
	bool has_a = pa_phdr_find(headers, object->dlpi_phnum, bias, 0, places->a);
	bool has_b = pa_phdr_find(headers, object->dlpi_phnum, bias, 0, places->b);
	places->in_one_object = has_a && has_b;
	return has_a || has_b;
}

/* True when bound is libc's own function. dladdr would search all symbols of libc for the names,
 * which took a third of the agent's instructions before main. */
static bool is_of_libc(const void *bound)
{
	struct two_places places = { (uintptr_t)bound, (uintptr_t)gnu_get_libc_version, false };
	dl_iterate_phdr(look_for_both, &places);
	return places.in_one_object;
}

/* Not the next definition: libfaketime is after the agent. dlopen of libc costs memory that is
 * never freed, so only where its own function is hidden. */
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

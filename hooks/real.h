/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access of hooks to the real functions, before and after boot.
 *
 * Context: as marked. No lock.
 */
#ifndef PA_HOOKS_REAL_H
#define PA_HOOKS_REAL_H

#include "../agent/record/handler_frame.h"
#include "hooks.h"

/*
 * The next definition of each symbol in lookup order: of libc, or of another preloaded library or
 * allocator. Each pointer starts at a stub that resolves all of them at its first call, so the hot
 * path has no null test and ends in a tail jump. Any context.
 */
struct pa_real {
#define POINTER(name, result, parameters, ...) result(*name) parameters;
	PA_HOOKS(POINTER)
	PA_NEXTS(POINTER)
#undef POINTER
};
extern struct pa_real pa_real PA_HIDDEN;

/* Resolves all real functions; safe to call concurrently and repeatedly. */
PA_APP void pa_real_resolve(void);

/*
 * The real function of a hook outside of hot paths. Those of the malloc family are called as
 * pa_real.malloc etc.: they start at stubs.
 */
#define PA_REAL(name) \
	(pa_likely(pa_real.name != NULL) ? pa_real.name : (pa_real_resolve(), pa_real.name))

/* The same for functions that are not required, and so not resolved at the start: looked up at each
 * call, which is rare. errno kept. */
PA_APP void *pa_real_find(const char *name);
#define PA_REAL_LATE(name) \
	(pa_real.name ? pa_real.name : (__typeof__(pa_real.name))pa_real_find(#name))

/* Code range of libc's allocator, whichever allocator the program uses; 0, 0: unknown. */
extern struct pa_code pa_real_allocator PA_HIDDEN;
PA_BOOT void pa_real_find_allocator(void);

/* True for memory of the bootstrap allocator, used while resolving and never freed. */
PA_SIGNAL bool pa_real_is_bootstrap(const void *pointer);

/* Size of a bootstrap block, for realloc. */
PA_SIGNAL size_t pa_real_bootstrap_size(const void *pointer);

#endif

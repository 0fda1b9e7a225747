/*
 * How hooks reach the real functions before and after boot.
 */
#ifndef PA_HOOKS_REAL_H
#define PA_HOOKS_REAL_H

#include "../agent/record/handler.h"
#include "hooks.h"

/* Resolves all real functions now; safe to call from several threads and again. */
PA_APP void pa_real_resolve(void);

/*
 * The real function of a hook that is not on a hot path. Those of the malloc family are called as
 * pa_real.malloc and so on: they start at stubs.
 */
#define PA_REAL(name)                                                                             \
	(pa_likely(pa_real.name != NULL) ? pa_real.name : (pa_real_resolve(), pa_real.name))

/* The code of libc's allocator, whoever else may be the program's; 0, 0: unknown. */
extern struct pa_code pa_real_allocator PA_HIDDEN;

/* True for memory of the bootstrap allocator, which serves while resolving and is never freed. */
PA_SIGNAL bool pa_real_is_bootstrap(const void *pointer);

/* Bytes that a bootstrap pointer has, for realloc. */
PA_SIGNAL size_t pa_real_bootstrap_size(const void *pointer);

#endif

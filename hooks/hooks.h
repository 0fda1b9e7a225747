/*
 * The one list of hooked symbols: PA_HOOK(name, result type, parameters, required).
 *
 * required: every libc that we run on has it; the others may be missing (a newer libc adds them)
 * and are looked up at their first call. Each name is exported by libpprofagent.so with
 * default visibility and no symbol version, so it serves callers of every version.
 *
 * exports.map repeats the names for the linker; `make lint` holds the two against each other.
 */
#ifndef PA_HOOKS_H
#define PA_HOOKS_H

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "../agent/base/base.h"

/* clang-format off */
#define PA_HOOKS(PA_HOOK)                                                                         \
	PA_HOOK(malloc, void *, (size_t), true)                                                   \
	PA_HOOK(calloc, void *, (size_t, size_t), true)                                           \
	PA_HOOK(realloc, void *, (void *, size_t), true)                                          \
	PA_HOOK(reallocarray, void *, (void *, size_t, size_t), true)                             \
	PA_HOOK(free, void, (void *), true)                                                       \
	PA_HOOK(free_sized, void, (void *, size_t), false)                                        \
	PA_HOOK(free_aligned_sized, void, (void *, size_t, size_t), false)                        \
	PA_HOOK(memalign, void *, (size_t, size_t), true)                                         \
	PA_HOOK(posix_memalign, int, (void **, size_t, size_t), true)                             \
	PA_HOOK(aligned_alloc, void *, (size_t, size_t), true)                                    \
	PA_HOOK(valloc, void *, (size_t), true)                                                   \
	PA_HOOK(pvalloc, void *, (size_t), true)                                                  \
	PA_HOOK(pthread_create, int,                                                              \
		(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *), true)           \
	PA_HOOK(fork, pid_t, (void), true)                                                        \
	PA_HOOK(daemon, int, (int, int), true)                                                    \
	PA_HOOK(dlopen, void *, (const char *, int), true)                                        \
	PA_HOOK(dlmopen, void *, (long, const char *, int), true)                                 \
	PA_HOOK(dlclose, int, (void *), true)                                                     \
	PA_HOOK(sigprocmask, int, (int, const sigset_t *, sigset_t *), true)                      \
	PA_HOOK(pthread_sigmask, int, (int, const sigset_t *, sigset_t *), true)                  \
	PA_HOOK(sigaction, int, (int, const struct sigaction *, struct sigaction *), true)        \
	PA_HOOK(sigwait, int, (const sigset_t *, int *), true)                                    \
	PA_HOOK(sigwaitinfo, int, (const sigset_t *, siginfo_t *), true)                          \
	PA_HOOK(sigtimedwait, int,                                                                \
		(const sigset_t *, siginfo_t *, const struct timespec *), true)                   \
	PA_HOOK(signalfd, int, (int, const sigset_t *, int), true)
/* clang-format on */

/*
 * The next definition of each symbol in lookup order: libc's, or that of another preloaded library
 * or allocator. Each pointer starts at a stub that resolves all of them at its first call, so the
 * hot path has no null test and ends in a tail jump. Any context.
 */
struct pa_real {
#define POINTER(name, result, parameters, required) result(*name) parameters;
	PA_HOOKS(POINTER)
#undef POINTER
};
extern struct pa_real pa_real PA_HIDDEN;

/* The hooks themselves. */
#define DECLARE(name, result, parameters, required) PA_EXPORT result name parameters;
PA_HOOKS(DECLARE)
#undef DECLARE

/* hook_thread.c: what has to exist before the first thread is wrapped. */
PA_BOOT void pa_hooks_thread_boot(void);

#endif

/*
 * The one list of hooked symbols: PA_HOOK(name, result type, parameters, required).
 *
 * required: every libc that we run on has it; the others may be missing (a newer libc adds them)
 * and are looked up at their first call. Each name is exported by libpprofagent.so with
 * default visibility. Those that libc has in two incompatible versions have a symbol version, in
 * exports.map, so callers of the old one go on to libc; all others have none and serve every
 * caller.
 *
 * Functions that never wait (trylock and its like) need no hook, and have none: PA_NEXT lists what
 * the hooks call all the same.
 */
#ifndef PA_HOOKS_H
#define PA_HOOKS_H

#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "../agent/base/base.h"
#include "../agent/record/thread.h"

/* clang-format off */
/* System calls in which a thread waits for what comes from elsewhere: watched for traces only. */
#define PA_CALL_HOOKS(PA_HOOK)                                                                    \
	PA_HOOK(poll, int, (struct pollfd *, nfds_t, int), true)                                  \
	PA_HOOK(__poll_chk, int, (struct pollfd *, nfds_t, int, size_t), true)                    \
	PA_HOOK(ppoll, int,                                                                       \
		(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *), true)       \
	PA_HOOK(__ppoll_chk, int,                                                                 \
		(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t),     \
		true)                                                                             \
	PA_HOOK(select, int, (int, fd_set *, fd_set *, fd_set *, struct timeval *), true)         \
	PA_HOOK(pselect, int,                                                                     \
		(int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *),   \
		true)                                                                             \
	PA_HOOK(epoll_wait, int, (int, struct epoll_event *, int, int), true)                     \
	PA_HOOK(epoll_pwait, int, (int, struct epoll_event *, int, int, const sigset_t *), true)  \
	PA_HOOK(recv, ssize_t, (int, void *, size_t, int), true)                                  \
	PA_HOOK(__recv_chk, ssize_t, (int, void *, size_t, size_t, int), true)                    \
	PA_HOOK(recvfrom, ssize_t,                                                                \
		(int, void *, size_t, int, __SOCKADDR_ARG, socklen_t *), true)                    \
	PA_HOOK(__recvfrom_chk, ssize_t,                                                          \
		(int, void *, size_t, size_t, int, __SOCKADDR_ARG, socklen_t *), true)            \
	PA_HOOK(recvmsg, ssize_t, (int, struct msghdr *, int), true)                              \
	PA_HOOK(accept, int, (int, __SOCKADDR_ARG, socklen_t *), true)                            \
	PA_HOOK(accept4, int, (int, __SOCKADDR_ARG, socklen_t *, int), true)                      \
	PA_HOOK(read, ssize_t, (int, void *, size_t), true)                                       \
	PA_HOOK(__read_chk, ssize_t, (int, void *, size_t, size_t), true)                         \
	PA_HOOK(nanosleep, int, (const struct timespec *, struct timespec *), true)               \
	PA_HOOK(clock_nanosleep, int,                                                             \
		(clockid_t, int, const struct timespec *, struct timespec *), true)               \
	PA_HOOK(thrd_sleep, int, (const struct timespec *, struct timespec *), true)              \
	PA_HOOK(usleep, int, (useconds_t), true)                                                  \
	PA_HOOK(sleep, unsigned, (unsigned), true)

/* Functions in which a thread waits, or gives up or brings what others wait for. */
#define PA_WAIT_HOOKS(PA_HOOK)                                                                    \
	PA_HOOK(pthread_mutex_lock, int, (pthread_mutex_t *), true)                               \
	PA_HOOK(pthread_mutex_timedlock, int,                                                     \
		(pthread_mutex_t *, const struct timespec *), true)                               \
	PA_HOOK(pthread_mutex_clocklock, int,                                                     \
		(pthread_mutex_t *, clockid_t, const struct timespec *), true)                    \
	PA_HOOK(pthread_mutex_unlock, int, (pthread_mutex_t *), true)                             \
	PA_HOOK(pthread_rwlock_rdlock, int, (pthread_rwlock_t *), true)                           \
	PA_HOOK(pthread_rwlock_timedrdlock, int,                                                  \
		(pthread_rwlock_t *, const struct timespec *), true)                              \
	PA_HOOK(pthread_rwlock_clockrdlock, int,                                                  \
		(pthread_rwlock_t *, clockid_t, const struct timespec *), true)                   \
	PA_HOOK(pthread_rwlock_wrlock, int, (pthread_rwlock_t *), true)                           \
	PA_HOOK(pthread_rwlock_timedwrlock, int,                                                  \
		(pthread_rwlock_t *, const struct timespec *), true)                              \
	PA_HOOK(pthread_rwlock_clockwrlock, int,                                                  \
		(pthread_rwlock_t *, clockid_t, const struct timespec *), true)                   \
	PA_HOOK(pthread_rwlock_unlock, int, (pthread_rwlock_t *), true)                           \
	PA_HOOK(pthread_spin_lock, int, (pthread_spinlock_t *), true)                             \
	PA_HOOK(pthread_spin_unlock, int, (pthread_spinlock_t *), true)                           \
	PA_HOOK(pthread_cond_wait, int, (pthread_cond_t *, pthread_mutex_t *), true)              \
	PA_HOOK(pthread_cond_timedwait, int,                                                      \
		(pthread_cond_t *, pthread_mutex_t *, const struct timespec *), true)             \
	PA_HOOK(pthread_cond_clockwait, int,                                                      \
		(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *), true)  \
	PA_HOOK(pthread_cond_signal, int, (pthread_cond_t *), true)                               \
	PA_HOOK(pthread_cond_broadcast, int, (pthread_cond_t *), true)                            \
	PA_HOOK(sem_wait, int, (sem_t *), true)                                                   \
	PA_HOOK(sem_timedwait, int, (sem_t *, const struct timespec *), true)                     \
	PA_HOOK(sem_clockwait, int, (sem_t *, clockid_t, const struct timespec *), true)          \
	PA_HOOK(sem_post, int, (sem_t *), true)                                                   \
	PA_HOOK(pthread_barrier_wait, int, (pthread_barrier_t *), true)                           \
	PA_HOOK(pthread_join, int, (pthread_t, void **), true)                                    \
	PA_HOOK(pthread_timedjoin_np, int, (pthread_t, void **, const struct timespec *), true)   \
	PA_HOOK(pthread_clockjoin_np, int,                                                        \
		(pthread_t, void **, clockid_t, const struct timespec *), true)                   \
	PA_HOOK(mtx_lock, int, (mtx_t *), true)                                                   \
	PA_HOOK(mtx_timedlock, int, (mtx_t *, const struct timespec *), true)                     \
	PA_HOOK(mtx_unlock, int, (mtx_t *), true)                                                 \
	PA_HOOK(cnd_wait, int, (cnd_t *, mtx_t *), true)                                          \
	PA_HOOK(cnd_timedwait, int, (cnd_t *, mtx_t *, const struct timespec *), true)            \
	PA_HOOK(cnd_signal, int, (cnd_t *), true)                                                 \
	PA_HOOK(cnd_broadcast, int, (cnd_t *), true)                                              \
	PA_HOOK(thrd_join, int, (thrd_t, int *), true)                                            \
	PA_CALL_HOOKS(PA_HOOK)

#define PA_NEXTS(PA_NEXT)                                                                         \
	PA_NEXT(pthread_mutex_trylock, int, (pthread_mutex_t *))                                  \
	PA_NEXT(pthread_rwlock_tryrdlock, int, (pthread_rwlock_t *))                              \
	PA_NEXT(pthread_rwlock_trywrlock, int, (pthread_rwlock_t *))                              \
	PA_NEXT(pthread_spin_trylock, int, (pthread_spinlock_t *))                                \
	PA_NEXT(pthread_tryjoin_np, int, (pthread_t, void **))                                    \
	PA_NEXT(mtx_trylock, int, (mtx_t *))

/* Those that libc declares with "...": hook_syscall.c defines them under names of its own. */
#define PA_VARIADIC_HOOKS(PA_HOOK)                                                                \
	PA_HOOK(prctl, int, (long, long, long, long, long), true)                                 \
	PA_HOOK(syscall, long, (long, long, long, long, long, long, long), true)

#define PA_FIXED_HOOKS(PA_HOOK)                                                                   \
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
	PA_HOOK(thrd_create, int, (thrd_t *, thrd_start_t, void *), true)                         \
	PA_HOOK(_exit, void, (int), true)                                                         \
	PA_HOOK(_Exit, void, (int), true)                                                         \
	PA_HOOK(fork, pid_t, (void), true)                                                        \
	PA_HOOK(_Fork, pid_t, (void), true)                                                       \
	PA_HOOK(clone, int, (int (*)(void *), void *, int, void *, ...), true)                    \
	PA_HOOK(daemon, int, (int, int), true)                                                    \
	PA_HOOK(forkpty, int,                                                                     \
		(int *, char *, const struct termios *, const struct winsize *), true)            \
	PA_HOOK(__register_atfork, int,                                                           \
		(void (*)(void), void (*)(void), void (*)(void), void *), true)                   \
	PA_HOOK(pthread_key_create, int, (pthread_key_t *, void (*)(void *)), true)               \
	PA_HOOK(tss_create, int, (tss_t *, tss_dtor_t), true)                                     \
	PA_HOOK(dlopen, void *, (const char *, int), true)                                        \
	PA_HOOK(dlmopen, void *, (long, const char *, int), true)                                 \
	PA_HOOK(dlclose, int, (void *), true)                                                     \
	PA_HOOK(unshare, int, (int), false)                                                       \
	PA_HOOK(setns, int, (int, int), false)                                                    \
	PA_HOOK(capset, int, (void *, void *), false)                                             \
	PA_HOOK(chroot, int, (const char *), false)                                               \
	PA_HOOK(sigprocmask, int, (int, const sigset_t *, sigset_t *), true)                      \
	PA_HOOK(pthread_sigmask, int, (int, const sigset_t *, sigset_t *), true)                  \
	PA_HOOK(pthread_attr_setsigmask_np, int, (pthread_attr_t *, const sigset_t *), true)      \
	PA_HOOK(pthread_attr_getsigmask_np, int, (const pthread_attr_t *, sigset_t *), true)      \
	PA_HOOK(sigaction, int, (int, const struct sigaction *, struct sigaction *), true)        \
	PA_HOOK(sigaltstack, int, (const stack_t *, stack_t *), true)                             \
	PA_HOOK(signal, sighandler_t, (int, sighandler_t), true)                                  \
	PA_HOOK(bsd_signal, sighandler_t, (int, sighandler_t), true)                              \
	PA_HOOK(ssignal, sighandler_t, (int, sighandler_t), true)                                 \
	PA_HOOK(sysv_signal, sighandler_t, (int, sighandler_t), true)                             \
	PA_HOOK(__sysv_signal, sighandler_t, (int, sighandler_t), true)                           \
	PA_HOOK(__sigaction, int, (int, const struct sigaction *, struct sigaction *), true)      \
	PA_HOOK(sigset, sighandler_t, (int, sighandler_t), true)                                  \
	PA_HOOK(sigignore, int, (int), true)                                                      \
	PA_HOOK(sighold, int, (int), true)                                                        \
	PA_HOOK(sigrelse, int, (int), true)                                                       \
	PA_HOOK(siginterrupt, int, (int, int), true)                                              \
	PA_HOOK(sigpending, int, (sigset_t *), true)                                              \
	PA_HOOK(sigwait, int, (const sigset_t *, int *), true)                                    \
	PA_HOOK(sigwaitinfo, int, (const sigset_t *, siginfo_t *), true)                          \
	PA_HOOK(sigtimedwait, int,                                                                \
		(const sigset_t *, siginfo_t *, const struct timespec *), true)                   \
	PA_HOOK(signalfd, int, (int, const sigset_t *, int), true)                                \
	PA_HOOK(munmap, int, (void *, size_t), true)                                              \
	PA_HOOK(mprotect, int, (void *, size_t, int), true)                                       \
	PA_HOOK(madvise, int, (void *, size_t, int), true)                                        \
	PA_HOOK(mmap, void *, (void *, size_t, int, int, int, off_t), true)                       \
	PA_HOOK(mmap64, void *, (void *, size_t, int, int, int, off64_t), true)                   \
	PA_HOOK(mremap, void *, (void *, size_t, size_t, int, ...), true)                         \
	PA_WAIT_HOOKS(PA_HOOK)

#define PA_HOOKS(PA_HOOK)                                                                         \
	PA_FIXED_HOOKS(PA_HOOK)                                                                   \
	PA_VARIADIC_HOOKS(PA_HOOK)
/* clang-format on */

/*
 * The next definition of each symbol in lookup order: libc's, or that of another preloaded library
 * or allocator. Each pointer starts at a stub that resolves all of them at its first call, so the
 * hot path has no null test and ends in a tail jump. Any context.
 */
struct pa_real {
#define POINTER(name, result, parameters, ...) result(*name) parameters;
	PA_HOOKS(POINTER)
	PA_NEXTS(POINTER)
#undef POINTER
};
extern struct pa_real pa_real PA_HIDDEN;

/*
 * Where the wait hooks jump to: to the real function while no contention is recorded, so that an
 * uncontended lock costs one jump more than without us; else, and before boot, to their watched
 * half, which records, or passes on when this is not our process any more.
 */
struct pa_wait_targets {
#define POINTER(name, result, parameters, required) result(*name) parameters;
	PA_WAIT_HOOKS(POINTER)
#undef POINTER
};
extern struct pa_wait_targets pa_wait_targets PA_HIDDEN;

#define DECLARE(name, result, parameters, required) PA_HIDDEN result pa_watched_##name parameters;
PA_WAIT_HOOKS(DECLARE)
#undef DECLARE

/* The hooks themselves. */
#define DECLARE(name, result, parameters, required) PA_EXPORT result name parameters;
PA_FIXED_HOOKS(DECLARE)
#undef DECLARE
PA_EXPORT int pa_variadic_prctl(long option, long a, long b, long c, long d) __asm__("prctl");
PA_EXPORT long pa_variadic_syscall(long number, long a, long b, long c, long d, long e)
	__asm__("syscall");

/*
 * hook_key.c: hear of the calling thread's end, by a key of thread-specific data. A program that
 * wants all keys gets ours too; without it only threads that are wrapped then are heard of.
 */
PA_BOOT void pa_hooks_key_boot(void);
PA_APP void pa_hooks_note_exit(struct pa_thread *self); /* errno kept */
PA_APP bool pa_hooks_have_key(void);
PA_APP void pa_hooks_thread_exits(void *self); /* what happens then; a struct pa_thread */

/*
 * hook_fork.c. While a process has one thread, libc's fork takes no locks, and works in a signal
 * handler that came in the middle of malloc: crash reporters do that. Our threads made it take
 * malloc's lock, which this very thread holds then. The child may call only what handlers may, and
 * is not profiled; what fork handlers do was never safe there.
 */
PA_APP bool pa_hooks_would_wait_for_itself(void);

#endif

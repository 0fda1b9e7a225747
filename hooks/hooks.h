/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only list of hooked symbols: PA_HOOK(name, result type, parameters, required).
 *
 * required: every supported libc has it; the others may be missing (newer libcs add them) and are
 * looked up at their first call. libpprofagent.so exports each name with default visibility.
 * Functions that libc has in two incompatible versions have a symbol version, in exports.map, so
 * callers of the old one go to libc; all others have none and serve every caller.
 *
 * Functions that never wait (trylock etc.) need no hook: PA_NEXT lists those that hooks call.
 *
 * Context: hooks run PA_APP on the program's threads, also in its signal handlers and before boot.
 * They take no lock.
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
/* System calls that wait for external events: recorded for traces only. */
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

/* Functions that wait, or unlock or wake what others wait for: one list for each file that defines
 * them. */
/* hook_mutex.c */
#define PA_MUTEX_HOOKS(PA_HOOK)                                                                   \
	PA_HOOK(pthread_mutex_lock, int, (pthread_mutex_t *), true)                               \
	PA_HOOK(pthread_mutex_timedlock, int,                                                     \
		(pthread_mutex_t *, const struct timespec *), true)                               \
	PA_HOOK(pthread_mutex_clocklock, int,                                                     \
		(pthread_mutex_t *, clockid_t, const struct timespec *), true)                    \
	PA_HOOK(pthread_mutex_unlock, int, (pthread_mutex_t *), true)                             \
	PA_HOOK(pthread_spin_lock, int, (pthread_spinlock_t *), true)                             \
	PA_HOOK(pthread_spin_unlock, int, (pthread_spinlock_t *), true)                           \
	PA_HOOK(mtx_lock, int, (mtx_t *), true)                                                   \
	PA_HOOK(mtx_timedlock, int, (mtx_t *, const struct timespec *), true)                     \
	PA_HOOK(mtx_unlock, int, (mtx_t *), true)

/* hook_rwlock.c */
#define PA_RWLOCK_HOOKS(PA_HOOK)                                                                  \
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
	PA_HOOK(pthread_rwlock_unlock, int, (pthread_rwlock_t *), true)

/* hook_cond.c */
#define PA_COND_HOOKS(PA_HOOK)                                                                    \
	PA_HOOK(pthread_cond_wait, int, (pthread_cond_t *, pthread_mutex_t *), true)              \
	PA_HOOK(pthread_cond_timedwait, int,                                                      \
		(pthread_cond_t *, pthread_mutex_t *, const struct timespec *), true)             \
	PA_HOOK(pthread_cond_clockwait, int,                                                      \
		(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *), true)  \
	PA_HOOK(pthread_cond_signal, int, (pthread_cond_t *), true)                               \
	PA_HOOK(pthread_cond_broadcast, int, (pthread_cond_t *), true)                            \
	PA_HOOK(cnd_wait, int, (cnd_t *, mtx_t *), true)                                          \
	PA_HOOK(cnd_timedwait, int, (cnd_t *, mtx_t *, const struct timespec *), true)            \
	PA_HOOK(cnd_signal, int, (cnd_t *), true)                                                 \
	PA_HOOK(cnd_broadcast, int, (cnd_t *), true)

/* hook_wait.c: semaphores, barriers, joins */
#define PA_SEM_HOOKS(PA_HOOK)                                                                     \
	PA_HOOK(sem_wait, int, (sem_t *), true)                                                   \
	PA_HOOK(sem_timedwait, int, (sem_t *, const struct timespec *), true)                     \
	PA_HOOK(sem_clockwait, int, (sem_t *, clockid_t, const struct timespec *), true)          \
	PA_HOOK(sem_post, int, (sem_t *), true)                                                   \
	PA_HOOK(pthread_barrier_wait, int, (pthread_barrier_t *), true)                           \
	PA_HOOK(pthread_join, int, (pthread_t, void **), true)                                    \
	PA_HOOK(pthread_timedjoin_np, int, (pthread_t, void **, const struct timespec *), true)   \
	PA_HOOK(pthread_clockjoin_np, int,                                                        \
		(pthread_t, void **, clockid_t, const struct timespec *), true)                   \
	PA_HOOK(thrd_join, int, (thrd_t, int *), true)

#define PA_WAIT_HOOKS(PA_HOOK)                                                                    \
	PA_MUTEX_HOOKS(PA_HOOK)                                                                   \
	PA_RWLOCK_HOOKS(PA_HOOK)                                                                  \
	PA_COND_HOOKS(PA_HOOK)                                                                    \
	PA_SEM_HOOKS(PA_HOOK)                                                                     \
	PA_CALL_HOOKS(PA_HOOK)

/* hook_frame.c: of libgcc, which few programs have loaded when they start. */
#define PA_LIBGCC_HOOKS(PA_HOOK)                                                                   \
	PA_HOOK(__register_frame, void, (void *), false)                                          \
	PA_HOOK(__register_frame_info, void, (const void *, void *), false)                       \
	PA_HOOK(__register_frame_info_bases, void, (const void *, void *, void *, void *), false) \
	PA_HOOK(__register_frame_table, void, (void *), false)                                    \
	PA_HOOK(__register_frame_info_table, void, (void *, void *), false)                       \
	PA_HOOK(__register_frame_info_table_bases, void, (void *, void *, void *, void *), false) \
	PA_HOOK(__deregister_frame, void, (void *), false)                                        \
	PA_HOOK(__deregister_frame_info, void *, (const void *), false)                           \
	PA_HOOK(__deregister_frame_info_bases, void *, (const void *), false)

#define PA_NEXTS(PA_NEXT)                                                                         \
	PA_NEXT(pthread_mutex_trylock, int, (pthread_mutex_t *))                                  \
	PA_NEXT(pthread_rwlock_tryrdlock, int, (pthread_rwlock_t *))                              \
	PA_NEXT(pthread_rwlock_trywrlock, int, (pthread_rwlock_t *))                              \
	PA_NEXT(pthread_spin_trylock, int, (pthread_spinlock_t *))                                \
	PA_NEXT(pthread_tryjoin_np, int, (pthread_t, void **))                                    \
	PA_NEXT(mtx_trylock, int, (mtx_t *))

/* Functions that libc declares with "...": hook_syscall.c defines them under other names. */
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
	PA_HOOK(kill, int, (pid_t, int), true)                                                    \
	PA_HOOK(killpg, int, (pid_t, int), true)                                                  \
	PA_HOOK(raise, int, (int), true)                                                          \
	PA_HOOK(gsignal, int, (int), true)                                                        \
	PA_HOOK(tgkill, int, (pid_t, pid_t, int), true)                                           \
	PA_HOOK(pthread_kill, int, (pthread_t, int), true)                                        \
	PA_HOOK(sigqueue, int, (pid_t, int, const union sigval), true)                            \
	PA_HOOK(pthread_sigqueue, int, (pthread_t, int, const union sigval), true)                \
	PA_HOOK(pthread_cancel, int, (pthread_t), true)                                           \
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
	PA_HOOK(mlockall, int, (int), false)                                                      \
	PA_HOOK(munlockall, int, (void), false)                                                   \
	PA_WAIT_HOOKS(PA_HOOK)                                                                    \
	PA_LIBGCC_HOOKS(PA_HOOK)

#define PA_HOOKS(PA_HOOK)                                                                         \
	PA_FIXED_HOOKS(PA_HOOK)                                                                   \
	PA_VARIADIC_HOOKS(PA_HOOK)
/* clang-format on */

/*
 * Jump targets of the wait hooks: the real function while no contention is recorded, so that an
 * uncontended lock costs one additional jump; otherwise, and before boot, the recording half, which
 * also passes calls on where this is another process. Each file with such hooks has its own
 * targets; wait_hooks.c switches all.
 */
#define POINTER(name, result, parameters, required) result(*name) parameters;
#define TARGETS(type, LIST)   \
	struct type {         \
		LIST(POINTER) \
	};                    \
	extern struct type type PA_HIDDEN;
TARGETS(pa_mutex_targets, PA_MUTEX_HOOKS)
TARGETS(pa_rwlock_targets, PA_RWLOCK_HOOKS)
TARGETS(pa_cond_targets, PA_COND_HOOKS)
TARGETS(pa_sem_targets, PA_SEM_HOOKS)
TARGETS(pa_call_targets, PA_CALL_HOOKS)
#undef TARGETS
#undef POINTER

/* The targets of a file before boot. */
#define PA_WAIT_HOOKS_TARGET(name, ...) .name = pa_wait_hooks_##name,
#define PA_DEFINE_TARGETS(type, LIST) struct type type = { LIST(PA_WAIT_HOOKS_TARGET) }

#define DECLARE(name, result, parameters, required) \
	PA_HIDDEN result pa_wait_hooks_##name parameters;
PA_WAIT_HOOKS(DECLARE)
#undef DECLARE

/* The hooks. */
#define DECLARE(name, result, parameters, required) PA_EXPORT result name parameters;
PA_FIXED_HOOKS(DECLARE)
#undef DECLARE
PA_EXPORT int pa_variadic_prctl(long option, long a, long b, long c, long d) __asm__("prctl");

/*
 * hook_syscall.c: syscall() is one compare and a jump (PA_DEFINE_GATE) for the numbers that have a
 * 0 here; what is jumped to for the others pa_hooks_choose says. All 0 before boot: nothing is
 * watched then; futex has a 1 only while waits are recorded.
 */
extern PA_ATOMIC(uint8_t) pa_hooks_looked_at[] PA_HIDDEN;
extern void (*pa_hooks_syscall_pass)(void) PA_HIDDEN;
PA_BOOT void pa_hooks_syscall_boot(void);
PA_APP void pa_hooks_watch_futexes(bool on);

/*
 * hook_key.c: notification of the calling thread's end, by a key of thread-specific data. A program
 * that needs all keys gets the agent's too; without it only threads that are wrapped are noticed.
 */
PA_BOOT void pa_hooks_key_boot(void);
PA_APP void pa_hooks_note_exit(struct pa_thread *self); /* errno kept */
PA_APP bool pa_hooks_have_key(void);
PA_APP void pa_hooks_thread_exits(void *self); /* destructor; self: a struct pa_thread */

/* hook_dl.c: number of modules that the loader has unloaded so far. Takes the loader's lock: not
 * for signal handlers. */
PA_APP uint64_t pa_hooks_loader_unloads(void);

/*
 * hook_fork.c. While a process has one thread, libc's fork takes no locks, and works in a signal
 * handler that interrupted malloc: crash reporters rely on it. With the agent's threads it takes
 * malloc's lock, which the calling thread holds then: true. The child may make only
 * async-signal-safe calls and is not profiled; fork handlers were never safe there.
 */
PA_APP bool pa_hooks_would_wait_for_itself(void);

#endif

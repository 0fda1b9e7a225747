/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only list of system calls that the agent makes, by purpose, with arguments as close to the
 * real ones as a call without effect may have: seccomp filters examine numbers and arguments (but
 * cannot dereference pointers).
 *
 * PA_CALLS(X): X(system call, purpose, may be denied, six arguments). Where false, a denied call (a
 * futex that does not wait, a handler that cannot return) is as fatal as SECCOMP_RET_KILL.
 *
 * Context: constants only.
 */
#ifndef PA_CALLS_H
#define PA_CALLS_H

#include <sys/syscall.h>

/* Purposes, as bits. The first group is made by the program's threads, inside hooks. */
enum pa_calls {
	PA_CALLS_WAKE = 1 << 0,     /* wake an agent thread, or wait for one */
	PA_CALLS_IDENTITY = 1 << 1, /* id and name of the thread */
	PA_CALLS_MAP = 1 << 2,      /* memory for tables */
	PA_CALLS_READ = 1 << 3,     /* read memory that may be unmapped */
	PA_CALLS_TIMER = 1 << 4,    /* a CPU timer and clock for the thread */
	PA_CALLS_RETURN = 1 << 5,   /* the signal handler and its return */
	PA_CALLS_INSPECT = 1 << 6,  /* inspect a descriptor, for traces */
	PA_CALLS_FORK = 1 << 7,     /* the first steps of a forked child */
	PA_CALLS_FILES = 1 << 8,    /* files written when the program ends */
	PA_CALLS_CLOCK = 1 << 9,    /* clock_gettime: vDSO, but strict mode (SECCOMP_MODE_STRICT)
				     * denies it */
	PA_CALLS_UNLOCK = 1 << 10,  /* munlock of the agent's memory */
	PA_CALLS_SOCKET = 1 << 11,  /* remove the file of a unix socket when the program ends */
	PA_CALLS_OF_PROGRAM = (1 << 12) - 1,
	/* By the agent's threads, and at boot. */
	PA_CALLS_LIFE = 1 << 12,  /* needed by every agent thread */
	PA_CALLS_RANGE = 1 << 13, /* a private descriptor table: preferred way */
	PA_CALLS_TABLE = 1 << 14, /* private descriptor table: fallback */
	PA_CALLS_SERVE = 1 << 15, /* the HTTP port */
	PA_CALLS_IPV6 = 1 << 16,  /* the same on IPv6 */
	PA_CALLS_UNIX = 1 << 17,  /* the same on a unix socket */
	PA_CALLS_DUMP = 1 << 18,  /* thread stacks */
	PA_CALLS_REACH = 1 << 19, /* other processes: their ports, and their end */
	PA_CALLS_LEARN = 1 << 20, /* how libc makes system calls: see shared_call.h */
	PA_CALLS_ALL = (1 << 21) - 1,
	/* Without these the agent cannot work at all. */
	PA_CALLS_VITAL = PA_CALLS_LIFE | PA_CALLS_MAP | PA_CALLS_WAKE | PA_CALLS_IDENTITY,
};

/* clang-format off */
#define PA_CALLS_OWN (PA_CALLS_LIFE | PA_CALLS_MAP)
#define PA_CALLS(X)                                                                               \
	X(futex, PA_CALLS_WAKE | PA_CALLS_RETURN | PA_CALLS_LIFE, false,                          \
		0, 129 /* FUTEX_WAKE_PRIVATE */, 1, 0, 0, 0)                                      \
	X(exit, PA_CALLS_LIFE, false, 0, 0, 0, 0, 0, 0)                                           \
	X(gettid, PA_CALLS_IDENTITY | PA_CALLS_READ | PA_CALLS_RETURN | PA_CALLS_LIFE, false,     \
		0, 0, 0, 0, 0, 0)                                                                 \
	X(geteuid, PA_CALLS_LIFE, true, 0, 0, 0, 0, 0, 0)                                         \
	X(getgid, PA_CALLS_LIFE, true, 0, 0, 0, 0, 0, 0)                                          \
	X(getegid, PA_CALLS_LIFE, true, 0, 0, 0, 0, 0, 0)                                         \
	X(fstatfs, PA_CALLS_LIFE, true, -1, 0, 0, 0, 0, 0)                                        \
	X(eventfd2, PA_CALLS_LIFE, true, 0, 0xfff, 0, 0, 0, 0)                                    \
	X(tgkill, PA_CALLS_LIFE, true, -1, -1, 0, 0, 0, 0)                                        \
	X(chdir, PA_CALLS_LIFE, true, 0, 0, 0, 0, 0, 0)                                           \
	X(getpid, PA_CALLS_FORK | PA_CALLS_FILES | PA_CALLS_SOCKET | PA_CALLS_LIFE, true,         \
		0, 0, 0, 0, 0, 0)                                                                 \
	X(prctl, PA_CALLS_IDENTITY | PA_CALLS_RETURN, true, 16 /* PR_GET_NAME */, 0, 0, 0, 0, 0)  \
	X(prctl, PA_CALLS_LIFE, true, 15 /* PR_SET_NAME */, 0, 0, 0, 0, 0)                        \
	X(mmap, PA_CALLS_OWN, true, 0, 0, 3 /* read, write */,                                    \
		0x4022 /* MAP_PRIVATE | ANONYMOUS | NORESERVE */, -1, 0)                          \
	X(mmap, PA_CALLS_LIFE, true, 0, 0, 0, 0x20022 /* PRIVATE | ANONYMOUS | STACK */, -1, 0)   \
	X(mmap, PA_CALLS_LIFE, true, 0, 0, 5 /* read, execute */, 2 /* MAP_PRIVATE */, -1, 0)     \
	X(munmap, PA_CALLS_OWN, true, 0, 0, 0, 0, 0, 0)                                           \
	X(munlock, PA_CALLS_UNLOCK, true, 0, 0, 0, 0, 0, 0)                                       \
	X(mlock2, PA_CALLS_UNLOCK, true, 0, 0, 0, 0, 0, 0)                                        \
	X(mprotect, PA_CALLS_LIFE, true, 0, 0, 3, 0, 0, 0)                                        \
	X(madvise, PA_CALLS_FORK | PA_CALLS_LIFE, true, 0, 0, 4 /* MADV_DONTNEED */, 0, 0, 0)     \
	X(madvise, PA_CALLS_LIFE, true, 0, 0, 18 /* MADV_WIPEONFORK */, 0, 0, 0)                  \
	X(rt_sigprocmask, PA_CALLS_READ | PA_CALLS_RETURN | PA_CALLS_FORK | PA_CALLS_LIFE, true,  \
		-1, 0, 0, 8, 0, 0)                                                                \
	X(process_vm_readv, PA_CALLS_READ | PA_CALLS_RETURN | PA_CALLS_LIFE, true,                \
		0, 0, 0, 0, 0, 0)                                                                 \
	X(timer_create, PA_CALLS_TIMER, true, 2 /* CLOCK_PROCESS_CPUTIME_ID */, 1, 0, 0, 0, 0)    \
	X(timer_settime, PA_CALLS_TIMER, true, -1, 0, 0, 0, 0, 0)                                 \
	X(timer_delete, PA_CALLS_TIMER, true, -1, 0, 0, 0, 0, 0)                                  \
	X(clock_gettime, PA_CALLS_TIMER | PA_CALLS_LIFE, true, 3 /* CLOCK_THREAD_CPUTIME_ID */,   \
		0, 0, 0, 0, 0)                                                                    \
	X(rt_sigaction, PA_CALLS_FORK | PA_CALLS_TIMER | PA_CALLS_DUMP, true,                     \
		33, 0, 0, 8, 0, 0)                                                                \
	X(sigaltstack, PA_CALLS_FORK, true, 0, 0, 0, 0, 0, 0)                                     \
	X(poll, PA_CALLS_INSPECT, true, 0, 0, 0, 0, 0, 0)                                         \
	X(fcntl, PA_CALLS_INSPECT, true, -1, 3 /* F_GETFL */, 0, 0, 0, 0)                         \
	X(getsockopt, PA_CALLS_INSPECT, true, -1, 1 /* SOL_SOCKET */, 3 /* SO_TYPE */, 0, 0, 0)   \
	X(openat, PA_CALLS_FILES, true, -100 /* AT_FDCWD */, 0,                                   \
		0xa0241 /* O_WRONLY | CREAT | TRUNC | CLOEXEC | NOFOLLOW */, 0666, 0, 0)          \
	X(write, PA_CALLS_FILES | PA_CALLS_LIFE, true, -1, 0, 0, 0, 0, 0)                         \
	X(rename, PA_CALLS_FILES, true, 0, 0, 0, 0, 0, 0)                                         \
	X(unlink, PA_CALLS_FILES | PA_CALLS_SOCKET | PA_CALLS_UNIX, true, 0, 0, 0, 0, 0, 0)       \
	X(newfstatat, PA_CALLS_SOCKET | PA_CALLS_UNIX, true, -100 /* AT_FDCWD */, 0, 0,           \
		0x100 /* AT_SYMLINK_NOFOLLOW */, 0, 0)                                            \
	X(clone3, PA_CALLS_LIFE, true, 0, 0, 0, 0, 0, 0)                                          \
	X(clone, PA_CALLS_LIFE, true, 0x3d0f00 /* of a thread */, 0, 0, 0, -1 /* no TLS */, 0)    \
	X(set_robust_list, PA_CALLS_LIFE, true, 0, 0, 0, 0, 0, 0)                                 \
	X(rseq, PA_CALLS_LIFE, true, 0, 0x20, 0, 0, 0, 0)                                         \
	X(sched_getscheduler, PA_CALLS_LIFE, true, 0, 0, 0, 0, 0, 0)                              \
	X(openat, PA_CALLS_LIFE, true, -100, 0, 0x80000 /* O_RDONLY | CLOEXEC */, 0, 0, 0)        \
	X(openat, PA_CALLS_LIFE, true, -100, 0, 0x90000 /* and DIRECTORY */, 0, 0, 0)             \
	X(read, PA_CALLS_LIFE, true, -1, 0, 0, 0, 0, 0)                                           \
	X(pread64, PA_CALLS_LIFE, true, -1, 0, 0, 0, 0, 0)                                        \
	X(lseek, PA_CALLS_LIFE, true, -1, 0, 0, 0, 0, 0)                                          \
	X(close, PA_CALLS_FILES | PA_CALLS_LIFE, true, -1, 0, 0, 0, 0, 0)                         \
	X(newfstatat, PA_CALLS_LIFE, true, -1, 0, 0, 0x1000 /* AT_EMPTY_PATH */, 0, 0)            \
	X(readlink, PA_CALLS_LIFE, true, 0, 0, 0, 0, 0, 0)                                        \
	X(getdents64, PA_CALLS_LIFE, true, -1, 0, 0, 0, 0, 0)                                     \
	X(prlimit64, PA_CALLS_LIFE, true, 0, 3 /* RLIMIT_STACK */, 0, 0, 0, 0)                    \
	X(getcwd, PA_CALLS_LIFE, true, 0, 0, 0, 0, 0, 0)                                          \
	X(getrandom, PA_CALLS_LIFE, true, 0, 0, 1 /* GRND_NONBLOCK */, 0, 0, 0)                   \
	X(mincore, PA_CALLS_READ | PA_CALLS_RETURN | PA_CALLS_LIFE, true,                         \
		0, 0, 0, 0, 0, 0)                                                                 \
	X(pipe2, PA_CALLS_LIFE, true, 0, 0x80800 /* O_NONBLOCK | CLOEXEC */, 0, 0, 0, 0)          \
	X(fcntl, PA_CALLS_LIFE, true, -1, 1030 /* F_DUPFD_CLOEXEC */, 100, 0, 0, 0)               \
	X(close_range, PA_CALLS_RANGE, true, -1, 0, 2 /* CLOSE_RANGE_UNSHARE */, 0, 0, 0)         \
	X(unshare, PA_CALLS_TABLE, true, 0x400 /* CLONE_FILES */, 0, 0, 0, 0, 0)                  \
	X(unshare, PA_CALLS_TABLE, true, 0x200 /* CLONE_FS */, 0, 0, 0, 0, 0)                     \
	X(socket, PA_CALLS_SERVE, true, 2 /* AF_INET */, 0x80801 /* SOCK_STREAM ... */,           \
		-1, 0, 0, 0)                                                                      \
	X(socket, PA_CALLS_IPV6, true, 10 /* AF_INET6 */, 0x80801, -1, 0, 0, 0)                   \
	X(setsockopt, PA_CALLS_IPV6, true, -1, 41 /* IPPROTO_IPV6 */, 26 /* IPV6_V6ONLY */,       \
		0, 0, 0)                                                                          \
	X(socket, PA_CALLS_UNIX, true, 1 /* AF_UNIX */, 0x80801, -1, 0, 0, 0)                     \
	X(fchmod, PA_CALLS_UNIX, true, -1, 0600, 0, 0, 0, 0)                                      \
	X(flock, PA_CALLS_UNIX, true, -1, 6 /* LOCK_EX | LOCK_NB */, 0, 0, 0, 0)                  \
	X(connect, PA_CALLS_UNIX, true, -1, 0, 110 /* sizeof(struct sockaddr_un) */, 0, 0, 0)     \
	X(setsockopt, PA_CALLS_SERVE, true, -1, 1 /* SOL_SOCKET */, 2 /* SO_REUSEADDR */,         \
		0, 0, 0)                                                                          \
	X(bind, PA_CALLS_SERVE, true, -1, 0, 0, 0, 0, 0)                                          \
	X(listen, PA_CALLS_SERVE, true, -1, 128, 0, 0, 0, 0)                                      \
	X(getsockname, PA_CALLS_SERVE, true, -1, 0, 0, 0, 0, 0)                                   \
	X(ppoll, PA_CALLS_SERVE | PA_CALLS_LEARN, true, 0, 0, 1, 0, 4, 0)                         \
	X(pselect6, PA_CALLS_LEARN, true, 0, 0, 0, 0, 1, 0)                                       \
	X(poll, PA_CALLS_SERVE, true, 0, 0, 0, 0, 0, 0)                                           \
	X(accept4, PA_CALLS_SERVE, true, -1, 0, 0, 0x80000 /* SOCK_CLOEXEC */, 0, 0)              \
	X(recvfrom, PA_CALLS_SERVE, true, -1, 0, 0, 0, 0, 0)                                      \
	X(sendto, PA_CALLS_SERVE, true, -1, 0, 0, 0x4000 /* MSG_NOSIGNAL */, 0, 0)                \
	X(shutdown, PA_CALLS_SERVE, true, -1, 1, 0, 0, 0, 0)                                      \
	X(dup3, PA_CALLS_LIFE, true, -1, 0, 0x80000, 0, 0, 0)                                     \
	X(connect, PA_CALLS_REACH, true, -1, 0, 16, 0, 0, 0)                                      \
	X(pidfd_open, PA_CALLS_REACH, true, -1, 0, 0, 0, 0, 0)                                    \
	X(uname, PA_CALLS_SERVE, true, 0, 0, 0, 0, 0, 0)                                          \
	X(getuid, PA_CALLS_LIFE, true, 0, 0, 0, 0, 0, 0)                                         \
	X(rt_tgsigqueueinfo, PA_CALLS_DUMP, true, -1, -1, 61, 0, 0, 0)
/* clang-format on */

#endif

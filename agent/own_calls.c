/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls under libc's names, for the preloaded object alone; no other object sees these
 * definitions. ISO C leaves these names to the program: one that defines a function `open` or
 * `write` of its own exports it, because libc has that name, and the loader would bind the calls of
 * this object to it. libc's own are not concerned, nor those of the core, which is bound to libc
 * (RTLD_DEEPBIND).
 *
 * test_own_names of test/faults/test_loading.py finds those that are missing. The numbers are those
 * of record/calls.h. None is a cancellation point. Names that hooks/ exports are not here: the
 * agent's own calls of those resolve as the program's do (see the Makefile), and where the agent
 * needs them itself, it makes the system call.
 *
 * Context: PA_SIGNAL. No lock, no memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "arch/arch.h"

/* The last error number of the kernel's: it returns them negated. */
#define MAX_ERRNO 4095

static long own_call5(long number, long a, long b, long c, long d, long e)
{
	long result = pa_arch_syscall6(number, a, b, c, d, e, 0);
	if (result < 0 && result >= -MAX_ERRNO) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

static long own_call(long number, long a, long b, long c)
{
	return own_call5(number, a, b, c, 0, 0);
}

/* ---- files ---- */

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	if (flags & O_CREAT) {
		va_list rest;
		va_start(rest, flags);
		mode = va_arg(rest, mode_t);
		va_end(rest);
	}
	return (int)own_call5(SYS_openat, AT_FDCWD, (long)path, flags, (long)mode, 0);
}

int close(int fd)
{
	return (int)own_call(SYS_close, fd, 0, 0);
}

ssize_t write(int fd, const void *bytes, size_t count)
{
	return own_call(SYS_write, fd, (long)bytes, (long)count);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t offset)
{
	return own_call5(SYS_pread64, fd, (long)bytes, (long)count, offset, 0);
}

int access(const char *path, int mode)
{
	return (int)own_call(SYS_faccessat, AT_FDCWD, (long)path, mode);
}

ssize_t readlink(const char *path, char *out, size_t bytes)
{
	return own_call(SYS_readlink, (long)path, (long)out, (long)bytes);
}

int unlink(const char *path)
{
	return (int)own_call(SYS_unlink, (long)path, 0, 0);
}

int chdir(const char *path)
{
	return (int)own_call(SYS_chdir, (long)path, 0, 0);
}

int fstatfs(int fd, struct statfs *out)
{
	return (int)own_call(SYS_fstatfs, fd, (long)out, 0);
}

/* ---- descriptors ---- */

int fcntl(int fd, int command, ...)
{
	va_list rest;
	va_start(rest, command);
	long argument = va_arg(rest, long);
	va_end(rest);
	return (int)own_call(SYS_fcntl, fd, command, argument);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list rest;
	va_start(rest, request);
	long argument = va_arg(rest, long);
	va_end(rest);
	return (int)own_call(SYS_ioctl, fd, (long)request, argument);
}

int eventfd(unsigned value, int flags)
{
	return (int)own_call(SYS_eventfd2, value, flags, 0);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *bytes)
{
	return (int)own_call5(SYS_getsockopt, fd, level, name, (long)value, (long)bytes);
}

/* ---- the process ---- */

pid_t getpid(void)
{
	return (pid_t)own_call(SYS_getpid, 0, 0, 0);
}

uid_t getuid(void)
{
	return (uid_t)own_call(SYS_getuid, 0, 0, 0);
}

uid_t geteuid(void)
{
	return (uid_t)own_call(SYS_geteuid, 0, 0, 0);
}

gid_t getgid(void)
{
	return (gid_t)own_call(SYS_getgid, 0, 0, 0);
}

gid_t getegid(void)
{
	return (gid_t)own_call(SYS_getegid, 0, 0, 0);
}

int getrlimit(__rlimit_resource_t which, struct rlimit *out)
{
	return (int)own_call5(SYS_prlimit64, 0, (long)which, 0, (long)out, 0);
}

int sched_getscheduler(pid_t tid)
{
	return (int)own_call(SYS_sched_getscheduler, tid, 0, 0);
}

int sched_setscheduler(pid_t tid, int policy, const struct sched_param *parameters)
{
	return (int)own_call(SYS_sched_setscheduler, tid, policy, (long)parameters);
}

int munlock(const void *memory, size_t bytes)
{
	return (int)own_call(SYS_munlock, (long)memory, (long)bytes, 0);
}

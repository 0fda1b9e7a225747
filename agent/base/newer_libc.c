/* SPDX-License-Identifier: Apache-2.0 */
#include "newer_libc.h"

#include <errno.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../arch/arch.h"

/* ---- defined under their own names ---- */

/* The kernel's struct is the one of libc where the system call newfstatat exists. */
static int stat_call(int at, const char *path, void *status, int flags)
{
	long result = pa_arch_syscall(SYS_newfstatat, at, (long)path, (long)status, flags);
	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	return 0;
}

int stat(const char *path, struct stat *status)
{
	return stat_call(AT_FDCWD, path, status, 0);
}

int stat64(const char *path, struct stat64 *status)
{
	return stat_call(AT_FDCWD, path, status, 0);
}

int lstat(const char *path, struct stat *status)
{
	return stat_call(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}

int fstat(int fd, struct stat *status)
{
	return stat_call(fd, "", status, AT_EMPTY_PATH);
}

pid_t gettid(void)
{
	return (pid_t)pa_arch_syscall(SYS_gettid, 0, 0, 0, 0);
}

void explicit_bzero(void *memory, size_t bytes)
{
	memset(memory, 0, bytes);
	__asm__ volatile("" : : "r"(memory) : "memory"); /* the bytes are looked at, so stored */
}

/* ---- under names of ours ---- */

const char *pa_newer_libc_signal(int number)
{
	static const char *const names[] = { [SIGHUP] = "HUP",
		[SIGINT] = "INT",
		[SIGQUIT] = "QUIT",
		[SIGILL] = "ILL",
		[SIGTRAP] = "TRAP",
		[SIGABRT] = "ABRT",
		[SIGBUS] = "BUS",
		[SIGFPE] = "FPE",
		[SIGKILL] = "KILL",
		[SIGUSR1] = "USR1",
		[SIGSEGV] = "SEGV",
		[SIGUSR2] = "USR2",
		[SIGPIPE] = "PIPE",
		[SIGALRM] = "ALRM",
		[SIGTERM] = "TERM",
		[SIGSTKFLT] = "STKFLT",
		[SIGCHLD] = "CHLD",
		[SIGCONT] = "CONT",
		[SIGSTOP] = "STOP",
		[SIGTSTP] = "TSTP",
		[SIGTTIN] = "TTIN",
		[SIGTTOU] = "TTOU",
		[SIGURG] = "URG",
		[SIGXCPU] = "XCPU",
		[SIGXFSZ] = "XFSZ",
		[SIGVTALRM] = "VTALRM",
		[SIGPROF] = "PROF",
		[SIGWINCH] = "WINCH",
		[SIGPOLL] = "POLL",
		[SIGPWR] = "PWR",
		[SIGSYS] = "SYS" };
	return number >= 0 && (size_t)number < PA_COUNT(names) ? names[number] : NULL;
}

#pragma weak strerrordesc_np
/* glibc's headers have these no more; its old versions for old programs remain. */
extern const char *const sys_errlist[] __attribute__((weak));
extern const int sys_nerr __attribute__((weak));

const char *pa_newer_libc_error(int error)
{
	const char *text = NULL;
	if (strerrordesc_np)
		text = strerrordesc_np(error);
	else if (&sys_nerr && error >= 0 && error < sys_nerr)
		text = sys_errlist[error];
	return text ? text : "unknown error";
}

#pragma weak mallinfo2
#pragma weak _dl_find_object

void pa_newer_libc_missing(char out[PA_NEWER_LIBC_MISSING_BYTES])
{
	const struct {
		const char *name;
		bool here;
	} functions[] = { { "strerrordesc_np", strerrordesc_np != NULL },
		{ "mallinfo2", mallinfo2 != NULL },
		{ "_dl_find_object", _dl_find_object != NULL } };
	out[0] = '\0';
	for (size_t i = 0; i < PA_COUNT(functions); i++) {
		if (functions[i].here)
			continue;
		if (out[0])
			strcat(out, " ");
		strcat(out, functions[i].name);
	}
}

/* Not strtol, whose code and tables are pages that no other part of the start reads. */
static unsigned version_part(const char **text)
{
	unsigned number = 0;
	for (; **text >= '0' && **text <= '9'; ++*text)
		number = number * 10 + (unsigned)(**text - '0');
	return number;
}

bool pa_newer_libc_is_too_old(const char *version)
{
	const unsigned floor_major = 2, floor_minor = 28;
	unsigned major = version_part(&version);
	if (major != floor_major)
		return major < floor_major;
	return *version++ != '.' || version_part(&version) < floor_minor;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program in ISO C: functions of its own have names that libc has too. As they are those of libc,
 * they are exported. None is called. Prints "ready", and "end" when its input has ended.
 */
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
#define NAMES(X) \
	X(accept) X(access) X(alarm) X(bind) X(chdir) X(close) X(connect) X(creat) X(dup) \
	X(dup2) X(eventfd) X(fchdir) X(fcntl) X(fstat) X(fstatfs) X(getegid) X(geteuid) \
	X(getgid) X(getpid) X(getppid) X(getrlimit) X(getsockopt) X(getuid) X(index) \
	X(ioctl) X(isatty) X(kill) X(link) X(listen) X(lstat) X(mkdir) X(mlock) X(munlock) \
	X(nice) X(open) X(pause) X(pipe) X(poll) X(pread) X(pwrite) X(read) X(readlink) \
	X(recv) X(rindex) X(rmdir) X(sched_getscheduler) X(sched_setscheduler) \
	X(sched_yield) X(select) X(send) X(setrlimit) X(setsockopt) X(shutdown) X(sleep) \
	X(socket) X(stat) X(statfs) X(symlink) X(sync) X(times) X(ttyname) X(umask) \
	X(unlink) X(usleep) X(wait) X(waitpid) X(write)
/* clang-format on */

int main(void)
{
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		free(malloc(1000));
	puts("end");
	return 0;
}

/* The headers declare some of the names as libc's. */
#define OWN(name)                                     \
	void own_##name(void) __asm__(#name);         \
	void own_##name(void)                         \
	{                                             \
		fputs("called: " #name "\n", stderr); \
		abort();                              \
	}

NAMES(OWN)

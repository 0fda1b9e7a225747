/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the compiler's checks call in the core (libc_checks.c), as far as neither the compiler nor
 * libc's headers declare it.
 *
 * Context: as libc's functions of the same names without the check. A failed check stops the
 * calling thread.
 */
#ifndef PA_LIBC_CHECKS_H
#define PA_LIBC_CHECKS_H

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

void __stack_chk_fail(void);
void *__memcpy_chk(void *to, const void *from, size_t bytes, size_t room);
void *__memmove_chk(void *to, const void *from, size_t bytes, size_t room);
void *__memset_chk(void *to, int value, size_t bytes, size_t room);
void __explicit_bzero_chk(void *to, size_t bytes, size_t room);
int __vsnprintf_chk(char *to, size_t bytes, int flag, size_t room, const char *format,
	va_list args);
int __snprintf_chk(char *to, size_t bytes, int flag, size_t room, const char *format, ...);
int __sprintf_chk(char *to, int flag, size_t room, const char *format, ...);
int __fprintf_chk(FILE *stream, int flag, const char *format, ...);
void __longjmp_chk(jmp_buf buffer, int value);
int __vsprintf_chk(char *to, int flag, size_t room, const char *format, va_list args);
int __open_2(const char *path, int flags);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	const sigset_t *mask, size_t room);
ssize_t __readlink_chk(const char *path, char *to, size_t bytes, size_t room);
ssize_t __read_chk(int fd, void *to, size_t bytes, size_t room);
ssize_t __pread_chk(int fd, void *to, size_t bytes, off_t at, size_t room);
int __inet_pton_chk(int family, const char *text, void *to, size_t room);
const char *__inet_ntop_chk(int family, const void *address, char *to, socklen_t bytes,
	size_t room);

#endif

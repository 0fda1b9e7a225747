/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that the compiler's checks call in the core (stack protector, _FORTIFY_SOURCE): see
 * libc_shims.h. libc's versions abort the program; these stop the calling thread. This file is
 * compiled without fortified functions.
 */
#include "libc_checks.h"

#include "libc_shims.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void __stack_chk_fail(void)
{
	abort();
}

static void check_bytes(size_t bytes, size_t room)
{
	if (bytes > room)
		abort();
}

void *__memcpy_chk(void *to, const void *from, size_t bytes, size_t room)
{
	check_bytes(bytes, room);
	return memcpy(to, from, bytes);
}

void *__memmove_chk(void *to, const void *from, size_t bytes, size_t room)
{
	check_bytes(bytes, room);
	return memmove(to, from, bytes);
}

void *__memset_chk(void *to, int value, size_t bytes, size_t room)
{
	check_bytes(bytes, room);
	return memset(to, value, bytes);
}

void __explicit_bzero_chk(void *to, size_t bytes, size_t room)
{
	check_bytes(bytes, room);
	explicit_bzero(to, bytes);
}

int __vsnprintf_chk(char *to, size_t bytes, int flag, size_t room, const char *format, va_list args)
{
	(void)flag;
	check_bytes(bytes, room);
	return vsnprintf(to, bytes, format, args);
}

int __snprintf_chk(char *to, size_t bytes, int flag, size_t room, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int length = __vsnprintf_chk(to, bytes, flag, room, format, args);
	va_end(args);
	return length;
}

/* room limits what is written; a longer result is detected afterwards. An unknown room is SIZE_MAX,
 * with which vsnprintf of glibc 2.37 and newer writes nothing. */
int __vsprintf_chk(char *to, int flag, size_t room, const char *format, va_list args)
{
	(void)flag;
	int length = vsnprintf(to, room < INT_MAX ? room : INT_MAX, format, args);
	if (length >= 0)
		check_bytes((size_t)length + 1, room);
	return length;
}

int __sprintf_chk(char *to, int flag, size_t room, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int length = __vsprintf_chk(to, flag, room, format, args);
	va_end(args);
	return length;
}

int __fprintf_chk(FILE *stream, int flag, const char *format, ...)
{
	va_list args;

	(void)flag;
	va_start(args, format);
	int length = vfprintf(stream, format, args);
	va_end(args);
	return length;
}

/* Without a mode. */
int __open_2(const char *path, int flags)
{
	if (flags & O_CREAT)
		abort();
	return open(path, flags);
}

int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	const sigset_t *mask, size_t room)
{
	check_bytes(count * sizeof(*fds), room);
	return ppoll(fds, count, timeout, mask);
}

ssize_t __readlink_chk(const char *path, char *to, size_t bytes, size_t room)
{
	check_bytes(bytes, room);
	return readlink(path, to, bytes);
}

ssize_t __read_chk(int fd, void *to, size_t bytes, size_t room)
{
	check_bytes(bytes, room);
	return read(fd, to, bytes);
}

ssize_t __pread_chk(int fd, void *to, size_t bytes, off_t at, size_t room)
{
	check_bytes(bytes, room);
	return pread(fd, to, bytes, at);
}

/* This and the next are called with headers of glibc 2.42 and newer. */
int __inet_pton_chk(int family, const char *text, void *to, size_t room)
{
	check_bytes(family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr), room);
	return inet_pton(family, text, to);
}

const char *__inet_ntop_chk(int family, const void *address, char *to, socklen_t bytes, size_t room)
{
	check_bytes(bytes, room);
	return inet_ntop(family, address, to, bytes);
}

/* No check of the stack pointer: our libraries only jump up their own stack. */
void __longjmp_chk(jmp_buf buffer, int value)
{
	_longjmp(buffer, value);
}

/*
 * What a compiler's checks call in the core (stack protector, fortified functions): see guest.h.
 * Those of libc end the program when they find something; these stop the thread. This file is
 * compiled without fortified functions.
 */
#include "guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As the compiler and libc's headers declare them, where they declare them at all. */
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

void __stack_chk_fail(void)
{
	abort();
}

static void check(size_t bytes, size_t room)
{
	if (bytes > room)
		abort();
}

void *__memcpy_chk(void *to, const void *from, size_t bytes, size_t room)
{
	check(bytes, room);
	return memcpy(to, from, bytes);
}

void *__memmove_chk(void *to, const void *from, size_t bytes, size_t room)
{
	check(bytes, room);
	return memmove(to, from, bytes);
}

void *__memset_chk(void *to, int value, size_t bytes, size_t room)
{
	check(bytes, room);
	return memset(to, value, bytes);
}

void __explicit_bzero_chk(void *to, size_t bytes, size_t room)
{
	check(bytes, room);
	explicit_bzero(to, bytes);
}

int __vsnprintf_chk(char *to, size_t bytes, int flag, size_t room, const char *format,
	va_list args)
{
	(void)flag;
	check(bytes, room);
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

/* room is the most that fits; what does not is not written, and noticed. */
int __sprintf_chk(char *to, int flag, size_t room, const char *format, ...)
{
	va_list args;

	(void)flag;
	va_start(args, format);
	int length = vsnprintf(to, room, format, args);
	va_end(args);
	if (length >= 0)
		check((size_t)length + 1, room);
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

/* Ours go up the stack that they are on. */
void __longjmp_chk(jmp_buf buffer, int value)
{
	_longjmp(buffer, value);
}

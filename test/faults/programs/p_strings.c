/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library with string functions of its own, as a sanitizer in the executable has them: the first
 * call of one does what a sanitizer's start does, and more, with functions that an agent hooks. The
 * agent may call it before it knows the real functions. Prints how much of it went well.
 */
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "early_work.h"

#define PLAIN __attribute__((optimize("no-tree-loop-distribute-patterns"), noinline))

static int started, good;

static int signals_and_waits(void)
{
	const struct timespec none = { 0, 0 };
	struct sigaction action;
	sigset_t mask;
	stack_t alternate;
	pthread_key_t key;
	int well = sigaltstack(NULL, &alternate) == 0;

	well += sigaction(SIGSEGV, NULL, &action) == 0;
	well += pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0;
	well += sigprocmask(SIG_BLOCK, NULL, &mask) == 0;
	well += poll(NULL, 0, 0) == 0;
	well += nanosleep(&none, NULL) == 0;
	well += syscall(SYS_getpid) == getpid();
	well += pthread_key_create(&key, NULL) == 0 && pthread_key_delete(key) == 0;
	return well;
}

static void start(void)
{
	if (!started++)
		good = early_work() + signals_and_waits();
}

PLAIN size_t strlen(const char *text)
{
	size_t length = 0;

	start();
	while (text[length])
		length++;
	return length;
}

PLAIN int strncmp(const char *a, const char *b, size_t most)
{
	start();
	for (; most && *a && *a == *b; a++, b++)
		most--;
	return most ? (unsigned char)*a - (unsigned char)*b : 0;
}

PLAIN int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, (size_t)-1);
}

PLAIN void *memset(void *to, int byte, size_t bytes)
{
	start();
	for (size_t i = 0; i < bytes; i++)
		((char *)to)[i] = (char)byte;
	return to;
}

PLAIN void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	start();
	for (size_t i = 0; i < bytes; i++)
		((char *)to)[i] = ((const char *)from)[i];
	return to;
}

/* No constructor: that would run before the agent's. */
__attribute__((destructor)) static void end(void)
{
	start();
	printf("good %d\n", good);
	fflush(stdout);
}

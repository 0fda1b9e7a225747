/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps a key on its stack while it allocates, burns CPU and sleeps, wipes it, and says so. The key
 * is computed, so that it stands nowhere else in memory.
 * v_secret: does one line of stdin after the other: "alloc", "burn", "sleep"; says "wiped".
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEY_BYTES 32

static void *volatile kept;
static volatile unsigned burnt;

static void make(volatile unsigned char *key)
{
	for (int i = 0; i < KEY_BYTES; i++)
		key[i] = (unsigned char)((i * 37 + 11) ^ 0x5a);
}

static void burn(int seconds)
{
	time_t end = time(NULL) + seconds;
	while (time(NULL) < end)
		for (int i = 0; i < 10000; i++)
			burnt++;
}

/* The key is in memory that a copy of the stack from here up would have. */
static __attribute__((noinline)) void use(const char *what)
{
	volatile unsigned char key[KEY_BYTES];
	make(key);
	if (strcmp(what, "alloc\n") == 0)
		kept = malloc(1 << 20);
	else if (strcmp(what, "burn\n") == 0)
		burn(3);
	else
		poll(NULL, 0, 3000);
	explicit_bzero((void *)key, sizeof(key));
}

int main(void)
{
	char line[16];
	while (fgets(line, sizeof(line), stdin)) {
		use(line);
		puts("wiped");
		fflush(stdout);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argv[1] blocks, each allocated by a stack of its own: main -> grow -> STEPS functions that the
 * bits of the block's number choose, left or right -> keep_block. Prints "ready" and lives until
 * stdin ends; a line "more N" allocates as many again and prints "more".
 */
#include <stdio.h>
#include <stdlib.h>

#define STEPS 20 /* 2^20 stacks */

typedef void step(unsigned bits, int left);

static step go_left, go_right;
static void *volatile kept;

/* Behind each call, so that none is the last thing a function does and becomes a jump. */
#define STAY() __asm__ volatile("")

__attribute__((noinline)) static void keep_block(void)
{
	kept = malloc(64);
	STAY();
}

static void next_step(unsigned bits, int left)
{
	if (!left)
		keep_block();
	else if (bits & 1)
		go_right(bits >> 1, left - 1);
	else
		go_left(bits >> 1, left - 1);
	STAY();
}

__attribute__((noinline)) static void go_left(unsigned bits, int left)
{
	next_step(bits, left);
	STAY();
}

__attribute__((noinline)) static void go_right(unsigned bits, int left)
{
	next_step(bits, left);
	STAY();
}

__attribute__((noinline)) static void grow(unsigned count)
{
	static unsigned number;

	while (count--)
		go_left(number++, STEPS);
	STAY();
}

int main(int argc, char **argv)
{
	char line[64];
	unsigned count;

	grow(argc > 1 ? (unsigned)atoi(argv[1]) : 0);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "more %u", &count) != 1)
			continue;
		grow(count);
		puts("more");
		fflush(stdout);
	}
	return 0;
}

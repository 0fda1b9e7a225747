/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endless new stacks: every number below 2^BITS is a path of calls, its bits say which of two
 * functions calls on; at the end of each path WORDS_BYTES are allocated and kept.
 *
 *   f_stacks BITS      prints "kept COUNT", lives until stdin ends
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS_BYTES 24

static void *volatile kept;

static int left(unsigned path, int bits);
static int right(unsigned path, int bits);

__attribute__((noinline)) static int leaf(void)
{
	void **block = malloc(WORDS_BYTES);

	if (!block)
		return 0;
	*block = kept;
	kept = block;
	return 1;
}

#define STEP(name)                                                         \
	__attribute__((noinline)) static int name(unsigned path, int bits) \
	{                                                                  \
		int made;                                                  \
		if (!bits)                                                 \
			made = leaf();                                     \
		else if (path & 1)                                         \
			made = left(path >> 1, bits - 1);                  \
		else                                                       \
			made = right(path >> 1, bits - 1);                 \
		__asm__ volatile("" : "+r"(made));                         \
		return made;                                               \
	}
STEP(left)
STEP(right)

int main(int argc, char **argv)
{
	int bits = argc > 1 ? atoi(argv[1]) : 10;
	long count = 0;

	for (unsigned path = 0; path < 1u << bits; path++)
		count += left(path, bits);
	printf("kept %ld\n", count);
	fflush(stdout);
	for (char byte; read(0, &byte, 1) > 0;)
		;
	return 0;
}

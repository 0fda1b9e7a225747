/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Very many live objects: makes COUNT blocks of 40 bytes and keeps them, then for each line on
 * stdin frees half of what is left (the odd ones), or all if it begins with an a. Prints "live
 * COUNT" after each.
 *
 *   f_live COUNT
 */
#include <stdio.h>
#include <stdlib.h>

#define BYTES 40

static void **blocks;

__attribute__((noinline)) static void make_live(long count)
{
	for (long i = 0; i < count; i++)
		blocks[i] = malloc(BYTES);
}

static long drop_all(long count)
{
	for (long i = 0; i < count; i++)
		free(blocks[i]);
	return 0;
}

static long drop_half(long count)
{
	for (long i = 0; i < count; i++) {
		if (i & 1)
			free(blocks[i]);
		else
			blocks[i / 2] = blocks[i];
	}
	return (count + 1) / 2;
}

static void say(long count)
{
	printf("live %ld\n", count);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 1000;
	char line[16];

	blocks = calloc((size_t)count, sizeof(*blocks));
	make_live(count);
	say(count);
	while (fgets(line, sizeof(line), stdin)) {
		count = line[0] == 'a' ? drop_all(count) : drop_half(count);
		say(count);
	}
	return 0;
}

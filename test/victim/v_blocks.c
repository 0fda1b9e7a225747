/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps memory in blocks of one size, allocated by keep_blocks(), and allocates and frees as much
 * again in churn_blocks().
 *
 *   v_blocks [MiB [block bytes]]      default: 64 MiB in blocks of 1024
 *
 * Prints "ready KEPT CHURNED" (bytes), then obeys lines on stdin: "drop" frees what was kept and
 * prints "dropped", "grow" moves every second block to twice its size with realloc and prints
 * "grown BYTES", "churn" churns again. Ends with status 0 at the end of stdin.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	void **blocks;
	size_t count;
	size_t size;
} kept;

__attribute__((noinline)) static void keep_blocks(void)
{
	for (size_t i = 0; i < kept.count; i++) {
		kept.blocks[i] = malloc(kept.size);
		if (!kept.blocks[i])
			exit(1);
		memset(kept.blocks[i], 1, kept.size);
	}
}

__attribute__((noinline)) static void churn_blocks(void)
{
	void *few[64];

	for (size_t i = 0; i < kept.count; i += 64) {
		for (int j = 0; j < 64; j++)
			few[j] = malloc(kept.size);
		for (int j = 0; j < 64; j++)
			free(few[j]);
	}
}

__attribute__((noinline)) static void drop_blocks(void)
{
	for (size_t i = 0; i < kept.count; i++) {
		free(kept.blocks[i]);
		kept.blocks[i] = NULL;
	}
}

__attribute__((noinline)) static size_t grow_blocks(void)
{
	size_t bytes = 0;

	for (size_t i = 0; i < kept.count; i += 2) {
		kept.blocks[i] = realloc(kept.blocks[i], 2 * kept.size);
		bytes += 2 * kept.size;
	}
	return bytes;
}

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 64) << 20;
	char line[64];

	kept.size = argc > 2 ? strtoul(argv[2], NULL, 10) : 1024;
	kept.count = bytes / kept.size;
	kept.blocks = calloc(kept.count, sizeof(void *));
	keep_blocks();
	churn_blocks();
	printf("ready %zu %zu\n", kept.count * kept.size, kept.count / 64 * 64 * kept.size);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "drop\n")) {
			drop_blocks();
			puts("dropped");
		} else if (!strcmp(line, "grow\n")) {
			printf("grown %zu\n", grow_blocks());
		} else if (!strcmp(line, "churn\n")) {
			churn_blocks();
			puts("churned");
		}
		fflush(stdout);
	}
	return 0;
}

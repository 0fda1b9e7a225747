/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with an allocator inside that offers no hooks: it has the names of one that does not.
 * Keeps 4 MiB of it; prints "ready", and ends with status 0 at the end of stdin.
 */
#include <stdio.h>
#include <sys/mman.h>

#define ARENA ((size_t)4 << 20)

static char *arena;
static size_t used;

__attribute__((noinline)) void *mi_malloc(size_t bytes)
{
	void *block = arena + used;
	used += bytes;
	return block;
}

int main(void)
{
	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED)
		return 1;
	while (used < ARENA)
		*(char *)mi_malloc(4096) = 1;
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}

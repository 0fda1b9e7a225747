/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that defines malloc, and so does not use libc's: creates 200 threads, with one
 * processor for all, so that most of them wait for their start at the same time. Prints "ready",
 * and at the end of stdin "libc's heap BYTES", which libc took for its own malloc.
 */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define THREADS 200
#define HEAP_BYTES ((size_t)64 << 20)
#define ALIGNMENT ((size_t)16)

static char heap[HEAP_BYTES];
static _Atomic size_t used;

/* The size stands before the block. Nothing is freed. */
static void *take(size_t alignment, size_t bytes)
{
	size_t room = bytes + alignment + ALIGNMENT;
	size_t start = atomic_fetch_add(&used, (room + ALIGNMENT - 1) & ~(ALIGNMENT - 1));
	size_t block = (start + ALIGNMENT + alignment - 1) & ~(alignment - 1);
	if (start + room > HEAP_BYTES)
		return NULL;
	memcpy(heap + block - sizeof(bytes), &bytes, sizeof(bytes));
	return heap + block;
}

void *malloc(size_t bytes)
{
	return take(ALIGNMENT, bytes);
}

void free(void *block)
{
	(void)block;
}

void *calloc(size_t count, size_t bytes)
{
	return take(ALIGNMENT, count * bytes); /* it was zero, and is never used again */
}

void *realloc(void *block, size_t bytes)
{
	size_t had = 0;
	void *fresh = take(ALIGNMENT, bytes);
	if (block)
		memcpy(&had, (char *)block - sizeof(had), sizeof(had));
	if (fresh && block)
		memcpy(fresh, block, had < bytes ? had : bytes);
	return fresh;
}

void *memalign(size_t alignment, size_t bytes)
{
	return take(alignment < ALIGNMENT ? ALIGNMENT : alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	return memalign(alignment, bytes);
}

int posix_memalign(void **block, size_t alignment, size_t bytes)
{
	*block = memalign(alignment, bytes);
	return 0;
}

static void *work(void *arg)
{
	return arg;
}

int main(void)
{
	pthread_t threads[THREADS];
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	struct mallinfo2 libc = mallinfo2();
	printf("libc's heap %zu\n", libc.arena + libc.hblkhd);
	return 0;
}

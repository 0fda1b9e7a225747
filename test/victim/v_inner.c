/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocates with each function of malloc's family, each from a function of its own, in blocks of
 * 10,000 bytes. Linked with an allocator of its own (jemalloc, tcmalloc ...) it is past libc's.
 *
 * Prints "ready", then obeys lines on stdin:
 *   keep N      keeps N blocks of each kind: "kept BYTES" for each of them
 *   small N     keeps N blocks of 1,000 bytes, from keep_small
 *   churn N     allocates and frees N blocks
 *   drop        frees everything that is kept: "dropped"
 *   threads N   N threads at once keep 10 blocks each, from keep_in_thread, and free 100 more
 *   rest N      N threads allocate once, and wait: "resting"
 *   leave       these threads end without another call of the allocator: "left"
 *   fork        a child keeps, frees, and ends: "child STATUS"
 * Ends with status 0 at the end of stdin.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK ((size_t)10000)
#define KEPT_MAX 2000000

static void *kept[KEPT_MAX];
static size_t kept_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void keep(void *block, size_t bytes)
{
	if (!block)
		exit(1);
	memset(block, 1, bytes);
	pthread_mutex_lock(&lock);
	kept[kept_count++] = block;
	pthread_mutex_unlock(&lock);
}

#define NOINLINE __attribute__((noinline))

NOINLINE static void keep_malloc(void)
{
	keep(malloc(BLOCK), BLOCK);
}

NOINLINE static void keep_calloc(void)
{
	keep(calloc(BLOCK / 8, 8), BLOCK);
}

NOINLINE static void keep_aligned(void)
{
	keep(aligned_alloc(64, BLOCK), BLOCK);
}

NOINLINE static void keep_memalign(void)
{
	keep(memalign(256, BLOCK), BLOCK);
}

NOINLINE static void keep_posix(void)
{
	void *block = NULL;
	if (posix_memalign(&block, 128, BLOCK) != 0)
		exit(1);
	keep(block, BLOCK);
}

/* Moves: the small block is another object. */
NOINLINE static void keep_realloc(void)
{
	void *small = malloc(16);
	keep(realloc(small, BLOCK), BLOCK);
}

/* Does not move where the allocator has room behind the block. */
NOINLINE static void keep_shrunk(void)
{
	void *large = malloc(BLOCK + 100);
	keep(realloc(large, BLOCK), BLOCK);
}

NOINLINE static void keep_small(void)
{
	keep(malloc(1000), 1000);
}

NOINLINE static void churn(void)
{
	void *block = malloc(BLOCK);
	memset(block, 1, 1);
	free(block);
}

/* Of another size than keep_malloc, which the compiler would take for the same function. */
NOINLINE static void keep_in_thread(void)
{
	keep(malloc(BLOCK - 1), BLOCK - 1);
}

static void *work(void *unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++)
		churn();
	for (int i = 0; i < 10; i++)
		keep_in_thread();
	return NULL;
}

static void run_threads(int count)
{
	pthread_t threads[256];
	for (int i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			exit(1);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t threads[256];
	int count, resting;
	int leave;
} rest = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void *allocate_and_rest(void *unused)
{
	(void)unused;
	churn();
	pthread_mutex_lock(&rest.lock);
	rest.resting++;
	pthread_cond_broadcast(&rest.changed);
	while (!rest.leave)
		pthread_cond_wait(&rest.changed, &rest.lock);
	rest.resting--;
	pthread_mutex_unlock(&rest.lock);
	return NULL;
}

static void rest_threads(int count)
{
	rest.leave = 0;
	for (rest.count = 0; rest.count < count; rest.count++)
		if (pthread_create(&rest.threads[rest.count], NULL, allocate_and_rest, NULL) != 0)
			exit(1);
	pthread_mutex_lock(&rest.lock);
	while (rest.resting < count)
		pthread_cond_wait(&rest.changed, &rest.lock);
	pthread_mutex_unlock(&rest.lock);
}

static void leave_threads(void)
{
	pthread_mutex_lock(&rest.lock);
	rest.leave = 1;
	pthread_cond_broadcast(&rest.changed);
	pthread_mutex_unlock(&rest.lock);
	while (rest.count)
		pthread_join(rest.threads[--rest.count], NULL);
}

static void drop(void)
{
	while (kept_count)
		free(kept[--kept_count]);
}

static void keep_all(long count)
{
	for (long i = 0; i < count; i++) {
		keep_malloc();
		keep_calloc();
		keep_aligned();
		keep_memalign();
		keep_posix();
		keep_realloc();
		keep_shrunk();
	}
}

static int run_child(void)
{
	int status = -1;
	pid_t child = fork();
	if (child == 0) {
		keep_all(10);
		work(NULL);
		drop();
		_exit(0);
	}
	waitpid(child, &status, 0);
	return status;
}

int main(void)
{
	char line[64], word[32];

	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		long count = 0;
		if (sscanf(line, "%31s %ld", word, &count) < 1)
			continue;
		if (!strcmp(word, "keep")) {
			keep_all(count);
			printf("kept %zu\n", (size_t)count * BLOCK);
		} else if (!strcmp(word, "small")) {
			for (long i = 0; i < count; i++)
				keep_small();
			printf("kept %ld\n", count * 1000);
		} else if (!strcmp(word, "churn")) {
			for (long i = 0; i < count; i++)
				churn();
			puts("churned");
		} else if (!strcmp(word, "drop")) {
			drop();
			puts("dropped");
		} else if (!strcmp(word, "threads")) {
			run_threads((int)count);
			puts("joined");
		} else if (!strcmp(word, "rest")) {
			rest_threads((int)count);
			puts("resting");
		} else if (!strcmp(word, "leave")) {
			leave_threads();
			puts("left");
		} else if (!strcmp(word, "fork")) {
			printf("child %d\n", run_child());
		}
		fflush(stdout);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads, two of them busy, whose alternate stacks are not their own:
 *
 *   f_shared_alternate shared        one for all
 *   f_shared_alternate overlapping   each begins in the middle of the one before
 *   f_shared_alternate unmapped      each unmapped while it is registered
 *
 * Prints "ready", and "lived" at the end of its stdin.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define THREADS 24
#define BYTES ((size_t)64 << 10)

static const char *way;
static char *memory;
static volatile int over;
static pthread_barrier_t ready;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t end = PTHREAD_COND_INITIALIZER;

static void set_stack(long number)
{
	stack_t stack = { .ss_sp = memory, .ss_size = BYTES };
	if (!strcmp(way, "overlapping"))
		stack.ss_sp = memory + (size_t)number * BYTES / 2;
	if (!strcmp(way, "unmapped"))
		stack.ss_sp = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	sigaltstack(&stack, NULL);
	if (!strcmp(way, "unmapped"))
		munmap(stack.ss_sp, BYTES);
	pthread_barrier_wait(&ready);
}

static void *idle(void *number)
{
	set_stack((long)number);
	pthread_mutex_lock(&mutex);
	while (!over)
		pthread_cond_wait(&end, &mutex);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static void *busy(void *number)
{
	volatile unsigned long work = 0;
	set_stack((long)number);
	while (!over)
		work++;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	way = argc > 1 ? argv[1] : "shared";
	memory = mmap(NULL, THREADS * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	pthread_barrier_init(&ready, NULL, THREADS + 1);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, i < 2 ? busy : idle, (void *)i);
	pthread_barrier_wait(&ready);
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	pthread_mutex_lock(&mutex);
	over = 1;
	pthread_cond_broadcast(&end);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	puts("lived");
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * malloc and free in pairs, 16 to 1024 bytes.
 *
 *   b_pairs PAIRS [THREADS [DEPTH]]
 *
 * Each thread does PAIRS, DEPTH calls of a function further down; prints the CPU ns of all of them.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SIZES 1024

static uint16_t sizes[SIZES];
static long pairs;
static int depth;

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void do_pairs(void)
{
	for (long i = 0; i < pairs; i++) {
		char *p = malloc(sizes[i % SIZES]);

		*(volatile char *)p = 1;
		free(p);
	}
}

__attribute__((noinline)) static void descend(int calls)
{
	if (calls > 0)
		descend(calls - 1);
	else
		do_pairs();
	__asm__ volatile(""); /* no tail call */
}

static void *work(void *result)
{
	int64_t start = cpu_ns();

	descend(depth);
	*(int64_t *)result = cpu_ns() - start;
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 2 ? atoi(argv[2]) : 1;
	pthread_t thread[64];
	int64_t spent[64] = { 0 }, sum = 0;

	pairs = argc > 1 ? atol(argv[1]) : 1000000;
	depth = argc > 3 ? atoi(argv[3]) : 0;
	srand(1);
	for (int i = 0; i < SIZES; i++)
		sizes[i] = (uint16_t)(16 + rand() % 1009);
	if (threads == 1)
		work(&spent[0]);
	for (int i = 0; threads > 1 && i < threads; i++)
		pthread_create(&thread[i], NULL, work, &spent[i]);
	for (int i = 0; threads > 1 && i < threads; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < threads; i++)
		sum += spent[i];
	printf("%lld\n", (long long)sum);
	return 0;
}

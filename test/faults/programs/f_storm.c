/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events without end: THREADS threads allocate and free blocks of 48 bytes, COUNT each; every
 * 1024th is kept.
 *
 *   f_storm THREADS COUNT    prints "ready", and for each line on stdin "made ALLOCATED kept KEPT"
 *                            when all have done their work; ends with its stdin
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES 48
#define KEEP_EACH 1024
#define THREADS_MAX 64

static long count;

__attribute__((noinline)) static long make_blocks(void)
{
	long kept = 0;

	for (long i = 0; i < count; i++) {
		void *volatile block = malloc(BYTES);

		if (i % KEEP_EACH == 0)
			kept++;
		else
			free(block);
	}
	return kept;
}

static void *run(void *arg)
{
	(void)arg;
	return (void *)make_blocks();
}

int main(int argc, char **argv)
{
	int threads = argc > 2 ? atoi(argv[1]) : 2;
	pthread_t thread[THREADS_MAX];
	char line[64];

	count = argc > 2 ? atol(argv[2]) : 1000;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		long kept = 0;
		void *part;

		for (int i = 0; i < threads; i++)
			pthread_create(&thread[i], NULL, run, NULL);
		for (int i = 0; i < threads; i++) {
			pthread_join(thread[i], &part);
			kept += (long)part;
		}
		printf("made %ld kept %ld\n", threads * count, kept);
		fflush(stdout);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library that is last to go and makes no haste: its destructor frees what its constructor
 * allocated, allocates more, takes locks and waits for a thread. Prints a line.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCKS 100000

static void *blocks[BLOCKS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int told;

__attribute__((constructor)) static void begin(void)
{
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = malloc(16 + (size_t)i % 200);
}

static void *tells(void *arg)
{
	pthread_mutex_lock(&mutex);
	told = 1;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&mutex);
	return arg;
}

__attribute__((destructor)) static void end(void)
{
	pthread_t thread;
	long freed = 0;

	for (int i = 0; i < BLOCKS; i++, freed++) {
		pthread_mutex_lock(&mutex);
		free(blocks[i]);
		blocks[i] = malloc(64);
		blocks[i] = realloc(blocks[i], 128);
		pthread_mutex_unlock(&mutex);
	}
	pthread_mutex_lock(&mutex);
	pthread_create(&thread, NULL, tells, NULL);
	while (!told)
		pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
	for (int i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	printf("late %ld\n", freed);
	fflush(stdout);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * f_many_threads N    starts N threads that allocate, lock and then wait for the end; prints
 *                     "ready N". Wakes them all at the end of its stdin and prints "ended N".
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static int there, over, ended;

static void *wait_for_end(void *arg)
{
	void *volatile block = malloc(1000);
	pthread_mutex_lock(&mutex);
	there++;
	pthread_cond_broadcast(&change);
	while (!over)
		pthread_cond_wait(&change, &mutex);
	ended++;
	pthread_mutex_unlock(&mutex);
	free(block);
	return arg;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 100;
	pthread_t *thread = calloc((size_t)count, sizeof(*thread));
	pthread_attr_t attr;
	char byte;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (int i = 0; i < count; i++)
		if (pthread_create(&thread[i], &attr, wait_for_end, NULL))
			return 1;
	pthread_mutex_lock(&mutex);
	while (there < count)
		pthread_cond_wait(&change, &mutex);
	pthread_mutex_unlock(&mutex);
	printf("ready %d\n", there);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	pthread_mutex_lock(&mutex);
	over = 1;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
	printf("ended %d\n", ended);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many threads that wait.
 *
 *   b_crowd N      prints "ready" when all N wait, ends when input ends; status 2: no more threads
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STACK_BYTES 65536
#define BLOCK_BYTES 1000

static pthread_barrier_t all_here;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int over;

__attribute__((noinline)) static void wait_in_crowd(void)
{
	pthread_barrier_wait(&all_here);
	pthread_mutex_lock(&lock);
	while (!over)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void *work(void *arg)
{
	void *volatile block = malloc(BLOCK_BYTES);

	wait_in_crowd();
	free(block);
	return arg;
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_barrier_init(&all_here, NULL, count + 1);
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&thread, &attr, work, NULL) != 0)
			return 2;
	pthread_barrier_wait(&all_here);
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}

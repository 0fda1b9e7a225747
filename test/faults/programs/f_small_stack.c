/* SPDX-License-Identifier: Apache-2.0 */
/*
 * f_small_stack BYTES...    a thread with each of these stacks (0: PTHREAD_STACK_MIN) that
 *                           allocates, locks and waits at a quarter of its depth, 20 times.
 *                           Prints "ready", then "ok N" with the number of threads that ended.
 */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static volatile unsigned long work;

static void deep_work(void)
{
	struct timespec until;
	for (int i = 0; i < 200; i++) {
		free(realloc(malloc((size_t)i), 2000));
		for (int j = 0; j < 20000; j++)
			work++;
	}
	pthread_mutex_lock(&mutex);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec = until.tv_nsec < 999000000 ? until.tv_nsec + 1000000 : 999999999;
	pthread_cond_timedwait(&never, &mutex, &until);
	pthread_mutex_unlock(&mutex);
}

static void *run(void *used)
{
	volatile char room[(size_t)used];
	memset((char *)room, 1, sizeof(room));
	deep_work();
	return used;
}

int main(int argc, char **argv)
{
	int ended = 0;
	puts("ready");
	fflush(stdout);
	deep_work(); /* what the loader looks up is found */
	for (int i = 1; i < argc; i++) {
		for (int j = 0; j < 20; j++) {
			size_t bytes = strtoul(argv[i], NULL, 10);
			pthread_attr_t attr;
			pthread_t thread;
			pthread_attr_init(&attr);
			if (!bytes)
				bytes = (size_t)PTHREAD_STACK_MIN;
			if (pthread_attr_setstacksize(&attr, bytes) ||
				pthread_create(&thread, &attr, run, (void *)(bytes / 4)))
				return 1;
			pthread_join(thread, NULL);
			ended++;
		}
	}
	printf("ok %d\n", ended);
	return 0;
}

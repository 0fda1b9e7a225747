/* SPDX-License-Identifier: Apache-2.0 */
/*
 * f_churn N    N short threads, 16 at a time, each of which allocates, frees and locks. Prints
 *              "ran N" when all are over, and "end" after the end of its stdin.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long ran;

__attribute__((noinline)) static void churn_work(void)
{
	for (int i = 0; i < 10; i++)
		free(malloc(100));
	pthread_mutex_lock(&mutex);
	ran++;
	pthread_mutex_unlock(&mutex);
}

static void *run(void *arg)
{
	churn_work();
	return arg;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 20000;
	pthread_t thread[16];
	char byte;
	for (int i = 0; i < count; i += 16) {
		int now = count - i < 16 ? count - i : 16;
		for (int j = 0; j < now; j++)
			if (pthread_create(&thread[j], NULL, run, NULL))
				return 1;
		for (int j = 0; j < now; j++)
			pthread_join(thread[j], NULL);
	}
	printf("ran %ld\n", ran);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	puts("end");
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main leaves by pthread_exit at once; N threads end one after the other, the last one ends the
 * process, with status 0 and all that is in stdout's buffer.
 *
 *   f_lastthread N MS      MS: how long each thread lives
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int life_ms, left;

static void say_end(void)
{
	puts("exit handlers");
}

static void *live(void *arg)
{
	const struct timespec life = { life_ms / 1000, life_ms % 1000 * 1000000L };
	pthread_t next;
	void *volatile block = malloc(100);
	nanosleep(&life, NULL);
	free(block);
	printf("thread %d\n", left);
	if (--left > 0)
		pthread_create(&next, NULL, live, NULL);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	left = argc > 1 ? atoi(argv[1]) : 1;
	life_ms = argc > 2 ? atoi(argv[2]) : 0;
	atexit(say_end);
	if (left > 0)
		pthread_create(&thread, NULL, live, NULL);
	pthread_exit(NULL);
}

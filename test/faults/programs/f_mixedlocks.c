/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads count under one lock; one calls the functions by name, the other by pointers that
 * dlsym found in libc itself, past preloaded libraries; each in turn unlocks in the other way. And
 * a thread that jumps out of a signal handler while it waits for a lock.
 *
 *   f_mixedlocks ROUNDS      prints "mixed 2*ROUNDS jumped N"
 */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define JUMPS 1000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, held = PTHREAD_MUTEX_INITIALIZER;
static int (*libc_lock)(pthread_mutex_t *), (*libc_unlock)(pthread_mutex_t *);
static long counter, rounds;

static void *by_name(void *arg)
{
	for (long i = 0; i < rounds; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		libc_unlock(&mutex);
	}
	return arg;
}

static void *by_libc(void *arg)
{
	for (long i = 0; i < rounds; i++) {
		libc_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static sigjmp_buf out;
static volatile sig_atomic_t waiting;

static void on_signal(int number)
{
	(void)number;
	if (waiting)
		siglongjmp(out, 1);
}

/* Each wait for it is left by a jump. */
static void *jumps(void *arg)
{
	for (volatile int i = 0; i < JUMPS; i++) {
		if (sigsetjmp(out, 1) == 0) {
			waiting = 1;
			pthread_mutex_lock(&held);
		}
		waiting = 0;
		++*(long *)arg;
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW);
	pthread_t one, two;
	long jumped = 0;

	*(void **)&libc_lock = dlsym(libc, "pthread_mutex_lock");
	*(void **)&libc_unlock = dlsym(libc, "pthread_mutex_unlock");
	rounds = argc > 1 ? atol(argv[1]) : 1000;
	pthread_create(&one, NULL, by_name, NULL);
	pthread_create(&two, NULL, by_libc, NULL);
	pthread_join(one, NULL);
	pthread_join(two, NULL);

	signal(SIGUSR1, on_signal);
	pthread_mutex_lock(&held);
	pthread_create(&one, NULL, jumps, &jumped);
	while (*(volatile long *)&jumped < JUMPS) {
		pthread_kill(one, SIGUSR1);
		usleep(200);
	}
	pthread_join(one, NULL);
	pthread_mutex_unlock(&held);
	printf("mixed %ld jumped %ld\n", counter, jumped);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creates threads in several places and ways. For each line on stdin "KIND N" it creates N of
 * them, 16 at a time, waits for their end, and prints "KIND N"; "stay N" creates N that live
 * until stdin ends; "fail N" asks N times for threads that cannot be had. Kinds: pthread, thrd,
 * detached, nested (each creates one more). Prints "ready" first. Ends with status 0 with its
 * stdin.
 *
 * The creators are make_pthread, make_thrd, make_detached, make_nested with make_inner,
 * make_staying, make_failing.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#define NOINLINE __attribute__((noinline)) static
#define BATCH 16

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sem_t ended;
static long ran;

static void work(void)
{
	free(malloc(100));
	pthread_mutex_lock(&mutex);
	ran++;
	pthread_mutex_unlock(&mutex);
}

static void *body(void *arg)
{
	work();
	return arg;
}

static int thrd_body(void *arg)
{
	(void)arg;
	work();
	return 0;
}

static void *detached_body(void *arg)
{
	work();
	sem_post(&ended);
	return arg;
}

static void must(int error)
{
	if (error)
		exit(1);
}

NOINLINE pthread_t make_pthread(void)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, body, NULL));
	return thread;
}

NOINLINE thrd_t make_thrd(void)
{
	thrd_t thread;

	must(thrd_create(&thread, thrd_body, NULL) != thrd_success);
	return thread;
}

NOINLINE void make_detached(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	must(pthread_create(&thread, &attr, detached_body, NULL));
	pthread_attr_destroy(&attr);
}

NOINLINE void make_inner(void)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, body, NULL));
	pthread_join(thread, NULL);
}

static void *nested_body(void *arg)
{
	make_inner();
	return arg;
}

NOINLINE pthread_t make_nested(void)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, nested_body, NULL));
	return thread;
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *stays(void *arg)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return arg;
}

NOINLINE void make_staying(void)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, stays, NULL));
}

NOINLINE void make_failing(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, (size_t)1 << 46);
	must(!pthread_create(&thread, &attr, body, NULL));
	pthread_attr_destroy(&attr);
}

static void batch(const char *kind, int count)
{
	pthread_t thread[BATCH];
	thrd_t thrd[BATCH];

	for (int i = 0; i < count; i++)
		if (!strcmp(kind, "pthread"))
			thread[i] = make_pthread();
		else if (!strcmp(kind, "nested"))
			thread[i] = make_nested();
		else if (!strcmp(kind, "thrd"))
			thrd[i] = make_thrd();
		else if (!strcmp(kind, "detached"))
			make_detached();
		else if (!strcmp(kind, "stay"))
			make_staying();
		else
			make_failing();
	for (int i = 0; i < count; i++)
		if (!strcmp(kind, "pthread") || !strcmp(kind, "nested"))
			pthread_join(thread[i], NULL);
		else if (!strcmp(kind, "thrd"))
			thrd_join(thrd[i], NULL);
		else if (!strcmp(kind, "detached"))
			while (sem_wait(&ended))
				;
}

int main(void)
{
	char line[64], kind[32];
	int count;

	sem_init(&ended, 0, 0);
	pthread_mutex_lock(&gate);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%31s %d", kind, &count) != 2)
			return 1;
		for (int done = 0; done < count; done += BATCH)
			batch(kind, count - done < BATCH ? count - done : BATCH);
		printf("%s %d\n", kind, count);
		fflush(stdout);
	}
	pthread_mutex_unlock(&gate);
	return 0;
}

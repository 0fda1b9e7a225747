/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks and condition variables. Prints ns.
 *
 *   b_mutex pairs N [THREADS]     lock and unlock, each thread a mutex of its own; CPU of all
 *   b_mutex contend N [THREADS]   all of them one mutex, N times each; wall
 *   b_mutex pingpong N            two threads wake each other by condition variables; wall
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST 64
#define SETTLE_US 200000
/* Turns of work(): about 1.5 us with the lock and 0.5 us without. */
#define INSIDE 3000
#define OUTSIDE 1000

struct worker {
	_Alignas(128) pthread_mutex_t own;
	pthread_t thread;
	int64_t spent_ns;
};

static struct worker workers[MOST];
static pthread_barrier_t start_line;
static long times;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed[2];
	int turn;
	volatile long counter;
} shared = { PTHREAD_MUTEX_INITIALIZER, { PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER }, 0,
	0 };

static int64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *pairs(void *arg)
{
	struct worker *worker = arg;
	int64_t start = now_ns(CLOCK_THREAD_CPUTIME_ID);

	for (long i = 0; i < times; i++) {
		pthread_mutex_lock(&worker->own);
		pthread_mutex_unlock(&worker->own);
	}
	worker->spent_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	return NULL;
}

static void work(long turns)
{
	for (volatile long i = 0; i < turns; i++)
		;
}

static void *contend(void *arg)
{
	pthread_barrier_wait(&start_line);
	for (long i = 0; i < times; i++) {
		pthread_mutex_lock(&shared.lock);
		shared.counter++;
		work(INSIDE);
		pthread_mutex_unlock(&shared.lock);
		work(OUTSIDE);
	}
	return arg;
}

static void *pingpong(void *arg)
{
	int me = arg == &workers[1];

	pthread_barrier_wait(&start_line);
	for (long i = 0; i < times; i++) {
		pthread_mutex_lock(&shared.lock);
		while (shared.turn != me)
			pthread_cond_wait(&shared.changed[me], &shared.lock);
		shared.turn = !me;
		pthread_cond_signal(&shared.changed[!me]);
		pthread_mutex_unlock(&shared.lock);
	}
	return arg;
}

static void run(void *(*routine)(void *), int threads)
{
	for (int i = 0; i < threads; i++)
		pthread_create(&workers[i].thread, NULL, routine, &workers[i]);
	for (int i = 0; i < threads; i++)
		pthread_join(workers[i].thread, NULL);
}

/* What an agent does at its start, on threads of its own, is measured elsewhere. */
static int64_t wall_ns(void *(*routine)(void *), int threads)
{
	int64_t start;

	usleep(SETTLE_US);
	pthread_barrier_init(&start_line, NULL, (unsigned)threads);
	start = now_ns(CLOCK_MONOTONIC);
	run(routine, threads);
	return now_ns(CLOCK_MONOTONIC) - start;
}

/* One thread is the first one: the program stays single-threaded. */
static int64_t pairs_ns(int threads)
{
	int64_t sum = 0;

	if (threads == 1)
		pairs(&workers[0]);
	else
		run(pairs, threads);
	for (int i = 0; i < threads; i++)
		sum += workers[i].spent_ns;
	return sum;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	int threads = argc > 3 ? atoi(argv[3]) : 0;
	int64_t ns;

	times = argc > 2 ? atol(argv[2]) : 0;
	for (int i = 0; i < MOST; i++)
		pthread_mutex_init(&workers[i].own, NULL);
	if (threads < 0 || threads > MOST)
		return 2;
	if (strcmp(what, "pairs") == 0)
		ns = pairs_ns(threads ? threads : 1);
	else if (strcmp(what, "contend") == 0)
		ns = wall_ns(contend, threads ? threads : 4);
	else if (strcmp(what, "pingpong") == 0)
		ns = wall_ns(pingpong, 2);
	else
		return 2;
	printf("%lld\n", (long long)ns);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errno over calls that do not fail, at many stack depths and in several threads: whatever was in
 * it must still be there. Prints "errno changed N of M"; status 0 when N is 0.
 *
 *   v_errno [ROUNDS [THREADS]]     default: 20 rounds in 2 threads; 0 rounds: until stdin ends
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEPTH 200
#define SENTINEL 77

static _Atomic long changed, asked;
static long rounds = 20;

static void one_call_each(int depth)
{
	void *volatile p;
	void *q = NULL;

	errno = SENTINEL;
	p = malloc((size_t)depth * 8 + 1);
	changed += errno != SENTINEL;
	p = realloc(p, 3000);
	changed += errno != SENTINEL;
	free(p);
	changed += errno != SENTINEL;
	p = calloc(3, 50);
	changed += errno != SENTINEL;
	free(p);
	if (posix_memalign(&q, 64, 100) == 0)
		free(q);
	changed += errno != SENTINEL;
	asked += 5;
}

__attribute__((noinline)) static int descend(int depth)
{
	one_call_each(depth);
	return depth ? descend(depth - 1) + 1 : 0;
}

static int input_ended(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	char byte;

	return poll(&in, 1, 0) == 1 && read(0, &byte, 1) <= 0;
}

static atomic_bool stop;

static void *run(void *arg)
{
	for (long i = 0; rounds ? i < rounds : !stop; i++)
		descend(DEPTH);
	return arg;
}

int main(int argc, char **argv)
{
	int threads = argc > 2 ? atoi(argv[2]) : 2;
	pthread_t thread[64];

	if (argc > 1)
		rounds = atol(argv[1]);
	for (int i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, run, NULL);
	while (!rounds && !input_ended())
		poll(NULL, 0, 10);
	stop = 1;
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	printf("errno changed %ld of %ld\n", (long)changed, (long)asked);
	return changed != 0;
}

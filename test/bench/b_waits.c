/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long malloc and fork take at most, in two threads beside each other.
 *
 *   b_waits        prints "ready"; begins with a line of input, ends when input ends, and prints
 *                  "malloc ", the longest malloc in ns, "fork " and the longest fork
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEPT 4096
#define PAUSE_US 1000
#define FORK_PAUSE_US 2000

static atomic_int over;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void note(int64_t *longest, int64_t begun)
{
	int64_t took = now_ns() - begun;

	if (took > *longest)
		*longest = took;
}

static void *allocate(void *longest)
{
	static void *kept[KEPT];

	for (unsigned i = 0; !atomic_load(&over); i++) {
		int64_t begun = now_ns();
		void *block = malloc(64 + i % 1000);

		note(longest, begun);
		free(kept[i * 7 % KEPT]);
		kept[i * 7 % KEPT] = block;
		if (i % 64 == 0)
			usleep(PAUSE_US);
	}
	return NULL;
}

static void *make_children(void *longest)
{
	while (!atomic_load(&over)) {
		int64_t begun = now_ns();
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		note(longest, begun);
		waitpid(child, NULL, 0);
		usleep(FORK_PAUSE_US);
	}
	return NULL;
}

int main(void)
{
	int64_t longest_malloc = 0, longest_fork = 0;
	pthread_t allocating, forking;

	puts("ready");
	fflush(stdout);
	if (getchar() == EOF)
		return 1;
	pthread_create(&allocating, NULL, allocate, &longest_malloc);
	pthread_create(&forking, NULL, make_children, &longest_fork);
	while (getchar() != EOF)
		;
	atomic_store(&over, 1);
	pthread_join(allocating, NULL);
	pthread_join(forking, NULL);
	printf("malloc %lld fork %lld\n", (long long)longest_malloc, (long long)longest_fork);
	return 0;
}

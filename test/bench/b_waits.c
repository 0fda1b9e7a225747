/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long malloc and fork take at most, in two threads beside each other.
 *
 *   b_waits        prints "ready"; begins with a line of input, ends when input ends, and prints
 *                  for malloc and for fork a line: the longest call in ns, the number of calls, and
 *                  of those above LONG_NS
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
#define LONG_NS 5000000

struct calls {
	const char *name;
	int64_t longest_ns, count, long_count;
};

static atomic_int over;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void note(struct calls *calls, int64_t begun_ns)
{
	int64_t took_ns = now_ns() - begun_ns;

	if (took_ns > calls->longest_ns)
		calls->longest_ns = took_ns;
	calls->count++;
	calls->long_count += took_ns > LONG_NS;
}

static void print(const struct calls *calls)
{
	printf("%s %lld %lld %lld\n", calls->name, (long long)calls->longest_ns,
		(long long)calls->count, (long long)calls->long_count);
}

static void *allocate(void *calls)
{
	static void *kept[KEPT];

	for (unsigned i = 0; !atomic_load(&over); i++) {
		int64_t begun = now_ns();
		void *block = malloc(64 + i % 1000);

		note(calls, begun);
		free(kept[i * 7 % KEPT]);
		kept[i * 7 % KEPT] = block;
		if (i % 64 == 0)
			usleep(PAUSE_US);
	}
	return NULL;
}

static void *make_children(void *calls)
{
	while (!atomic_load(&over)) {
		int64_t begun = now_ns();
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		note(calls, begun);
		waitpid(child, NULL, 0);
		usleep(FORK_PAUSE_US);
	}
	return NULL;
}

int main(void)
{
	struct calls mallocs = { .name = "malloc" }, forks = { .name = "fork" };
	pthread_t allocating, forking;

	puts("ready");
	fflush(stdout);
	if (getchar() == EOF)
		return 1;
	pthread_create(&allocating, NULL, allocate, &mallocs);
	pthread_create(&forking, NULL, make_children, &forks);
	while (getchar() != EOF)
		;
	atomic_store(&over, 1);
	pthread_join(allocating, NULL);
	pthread_join(forking, NULL);
	print(&mallocs);
	print(&forks);
	return 0;
}

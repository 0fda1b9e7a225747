/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocates, and locks a mutex of its own, without a reason to wait: no other thread takes a lock
 * of these calls, and the memory is reused. For each line of input: TURNS turns, then "waits N",
 * how often the thread gave up its processor in them.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define TURNS 300000
#define KEPT 256
#define DEEP_BYTES (64 << 10)
#define SAMPLED_BYTES ((size_t)64 << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *kept[KEPT];

static long waits(void)
{
	struct rusage used;

	getrusage(RUSAGE_THREAD, &used);
	return used.ru_nvcsw;
}

__attribute__((noinline)) static void take_turns(void)
{
	for (unsigned i = 0; i < TURNS; i++) {
		free(kept[i % KEPT]);
		kept[i % KEPT] = malloc(100 + i % 1000);
		pthread_mutex_lock(&lock);
		pthread_mutex_unlock(&lock);
	}
}

/* A block that is sampled for sure, from deeper in the stack than any later call: the agent uses a
 * system call to verify parts of a stack that it has not seen. */
__attribute__((noinline)) static char reach_deep(void)
{
	volatile char deep[DEEP_BYTES];
	void *volatile block = malloc(SAMPLED_BYTES);

	free(block);
	deep[0] = 0;
	return deep[0];
}

int main(void)
{
	char line[16];

	reach_deep();
	take_turns();
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		long before = waits();

		take_turns();
		printf("waits %ld\n", waits() - before);
		fflush(stdout);
	}
	return 0;
}

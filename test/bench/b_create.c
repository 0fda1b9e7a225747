/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that do nothing, one after the other.
 *
 *   b_create N      creates and joins N; prints the CPU ns of the process
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SETTLE_US 200000

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *nothing(void *arg)
{
	return arg;
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 10000;
	int64_t start;

	/* What an agent does at its start, on threads of its own, is measured elsewhere. */
	usleep(SETTLE_US);
	start = cpu_ns();
	for (long i = 0; i < count; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, nothing, NULL) != 0)
			return 1;
		pthread_join(thread, NULL);
	}
	printf("%lld\n", (long long)(cpu_ns() - start));
	return 0;
}

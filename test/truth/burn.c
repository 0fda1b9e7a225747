/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Burns CPU time in threads that measure it by getrusage(2). Waits for a line on stdin, burns, and
 * prints "burnt NS" with the sum.
 *
 *   burn KIND THREADS MS     MS of CPU time each, THREADS in all, at most 16 at once
 *
 * KIND: user (arithmetic), system (reads of /dev/zero), pieces (5 ms of work, 5 ms of sleep).
 * Calls: burner -> burn_user, burn_system.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 16
#define PIECE_NS 5000000

static int64_t ns_each;
static const char *kind;
static _Atomic int64_t burnt_ns;
static volatile uint64_t sink;

static int64_t used_ns(void)
{
	struct rusage used;
	getrusage(RUSAGE_THREAD, &used);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000LL +
		(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000LL;
}

__attribute__((noinline)) static void burn_user(int64_t until_ns)
{
	uint64_t x = 1;
	while (used_ns() < until_ns)
		for (int i = 0; i < 20000; i++)
			x = x * 6364136223846793005u + 1442695040888963407u;
	sink = x;
}

__attribute__((noinline)) static void burn_system(int64_t until_ns)
{
	static char buffer[1 << 16];
	int zero = open("/dev/zero", O_RDONLY);
	while (used_ns() < until_ns)
		if (read(zero, buffer, sizeof(buffer)) <= 0)
			break;
	close(zero);
	sink++;
}

static void *burner(void *arg)
{
	const struct timespec rest = { .tv_nsec = PIECE_NS };
	if (!strcmp(kind, "system"))
		burn_system(ns_each);
	else if (!strcmp(kind, "user"))
		burn_user(ns_each);
	else
		for (int64_t done = PIECE_NS; done <= ns_each; done += PIECE_NS) {
			burn_user(done);
			nanosleep(&rest, NULL);
		}
	burnt_ns += used_ns();
	return arg;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	kind = argv[1];
	int left = atoi(argv[2]);
	char line[8];
	ns_each = atoi(argv[3]) * 1000000LL;
	if (!fgets(line, sizeof(line), stdin))
		return 3;
	while (left > 0) {
		pthread_t threads[AT_ONCE];
		int count = left < AT_ONCE ? left : AT_ONCE;
		for (int i = 0; i < count; i++)
			if (pthread_create(&threads[i], NULL, burner, NULL))
				return 1;
		for (int i = 0; i < count; i++)
			pthread_join(threads[i], NULL);
		left -= count;
	}
	printf("burnt %lld\n", (long long)burnt_ns);
	return 0;
}

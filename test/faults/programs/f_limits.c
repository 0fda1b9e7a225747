/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that needs what a limit leaves it. Says "ready", waits for a line on stdin, does its
 * work, says how much of it failed.
 *
 *   threads N [UID LIMIT]   starts N threads at a time; as an ordinary user with RLIMIT_NPROC
 *   as MIB, data MIB        limits itself to so much more than it has; needs three quarters of it
 *   as MIB now              the same before anything else
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static pthread_barrier_t all_there;

static void *stay(void *unused)
{
	pthread_barrier_wait(&all_there);
	return unused;
}

static int failed_threads(unsigned count)
{
	pthread_t threads[256];
	int failed = 0;

	pthread_barrier_init(&all_there, NULL, count + 1);
	for (unsigned i = 0; i < count; i++)
		failed += pthread_create(&threads[i], NULL, stay, NULL) != 0;
	if (failed)
		return failed;
	pthread_barrier_wait(&all_there);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* What the process has of what a limit counts, from /proc/self/statm. */
static size_t used_bytes(int is_data)
{
	unsigned long all, data;
	FILE *statm = fopen("/proc/self/statm", "r");

	if (!statm || fscanf(statm, "%lu %*u %*u %*u %*u %lu", &all, &data) != 2)
		exit(4);
	fclose(statm);
	return (is_data ? data : all) * (size_t)sysconf(_SC_PAGESIZE);
}

static void limit_memory(const char *which, size_t bytes)
{
	int is_data = strcmp(which, "data") == 0;
	rlim_t all = used_bytes(is_data) + bytes;
	const struct rlimit limit = { all, all };

	if (setrlimit(is_data ? RLIMIT_DATA : RLIMIT_AS, &limit) != 0)
		exit(5);
}

static int failed_blocks(unsigned count)
{
	char *blocks[1024];
	int failed = 0;

	for (unsigned i = 0; i < count; i++) {
		blocks[i] = malloc(MIB - 8192);
		failed += !blocks[i];
		if (blocks[i])
			memset(blocks[i], 1, MIB - 8192);
	}
	for (unsigned i = 0; i < count; i++)
		free(blocks[i]);
	return failed;
}

static int become(uid_t uid, rlim_t processes)
{
	const struct rlimit limit = { processes, processes };

	return setrlimit(RLIMIT_NPROC, &limit) || setuid(uid);
}

int main(int argc, char **argv)
{
	char line[16];

	if (argc < 3)
		return 2;
	unsigned count = (unsigned)atoi(argv[2]);
	int is_threads = strcmp(argv[1], "threads") == 0;
	if (argc == 5 && become((uid_t)atoi(argv[3]), (rlim_t)atoi(argv[4])) != 0)
		return 3;
	if (argc == 4)
		limit_memory(argv[1], count * MIB);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "limit\n") == 0) {
			limit_memory(argv[1], count * MIB);
			puts("limited");
		} else {
			printf("failed %d\n",
				is_threads ? failed_threads(count) : failed_blocks(count * 3 / 4));
		}
		fflush(stdout);
	}
	return 0;
}

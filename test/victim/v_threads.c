/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many short threads, 16 at a time, each of which allocates, frees, and leaves one block to be
 * freed by its creator.
 *
 *   v_threads [N]      default: 2000. Prints "threads N rss_growth_kib K" and ends.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *work(void *arg)
{
	for (int i = 0; i < 50; i++) {
		void *volatile p = malloc((size_t)i * 10 + 1);
		free(p);
	}
	(void)arg;
	return malloc(64);
}

static long rss_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size, resident = 0;

	if (fscanf(f, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static int batch(int count)
{
	pthread_t thread[16];
	int ran = 0;

	for (int i = 0; i < count; i++)
		if (pthread_create(&thread[i], NULL, work, NULL))
			return ran;
	for (int i = 0; i < count; i++) {
		void *left;

		pthread_join(thread[i], &left);
		ran += left != NULL;
		free(left);
	}
	return ran;
}

int main(int argc, char **argv)
{
	int wanted = argc > 1 ? atoi(argv[1]) : 2000, ran = 0;
	long before = 0;

	while (ran < wanted) {
		int got = batch(wanted - ran < 16 ? wanted - ran : 16);

		if (!got)
			return 1;
		ran += got;
		if (!before && ran >= 64)
			before = rss_kib();
	}
	printf("threads %d rss_growth_kib %ld\n", ran, rss_kib() - before);
	return 0;
}

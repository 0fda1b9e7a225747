/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A C program that opens a C++ plugin; THREADS threads have it throw and catch, COUNT times each.
 *
 *   f_throwhost PLUGIN THREADS COUNT      prints "caught N"
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS_MAX 64

static long (*throw_and_catch)(long);
static long count;

static void *run(void *arg)
{
	(void)arg;
	return (void *)throw_and_catch(count);
}

int main(int argc, char **argv)
{
	void *plugin = dlopen(argc > 3 ? argv[1] : "", RTLD_NOW | RTLD_LOCAL);
	pthread_t thread[THREADS_MAX];
	long caught = 0;
	int threads;

	if (!plugin) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	*(void **)&throw_and_catch = dlsym(plugin, "throw_and_catch");
	threads = atoi(argv[2]);
	count = atol(argv[3]);
	for (int i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, run, NULL);
	for (int i = 0; i < threads; i++) {
		void *part;

		pthread_join(thread[i], &part);
		caught += (long)part;
	}
	printf("caught %ld\n", caught);
	return 0;
}

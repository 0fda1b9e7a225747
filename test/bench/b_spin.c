/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Up to 4 threads that use the same CPU time, each in a function of its own: profiles that have no
 * threads show its part by its name.
 *
 *   b_spin THREADS MS      each thread uses MS of CPU time
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static int64_t wanted_ns;

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

#define SPIN(number)                                                    \
	__attribute__((noinline)) static void *spin_##number(void *arg) \
	{                                                               \
		volatile uint64_t sum = 0;                              \
		while (cpu_ns() < wanted_ns)                            \
			for (int i = 0; i < 100000; i++)                \
				sum = sum * 31 + (uint64_t)i;           \
		return arg;                                             \
	}

SPIN(0)
SPIN(1)
SPIN(2)
SPIN(3)

int main(int argc, char **argv)
{
	void *(*spins[])(void *) = { spin_0, spin_1, spin_2, spin_3 };
	int threads = argc > 1 ? atoi(argv[1]) : 4;
	pthread_t thread[4];

	wanted_ns = (argc > 2 ? atol(argv[2]) : 500) * 1000000LL;
	if (threads < 1 || threads > 4)
		return 2;
	for (int i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, spins[i], NULL);
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	return 0;
}

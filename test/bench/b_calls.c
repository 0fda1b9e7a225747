/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of one function, in a program with one thread. Prints the CPU ns of the thread.
 *
 *   b_calls calloc N            N pairs with free, 16 to 1024 bytes
 *   b_calls realloc N           one object gets N new sizes, 16 to 1024 bytes
 *   b_calls posix_memalign N    N pairs with free, 16 to 1024 bytes at multiples of 64
 *   b_calls syscall N           getppid by syscall()
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SIZES 1024
#define ALIGNMENT 64
#define SETTLE_US 200000

static uint16_t sizes[SIZES];

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void use(void *p)
{
	*(volatile char *)p = 1;
}

static void calloc_pairs(long count)
{
	for (long i = 0; i < count; i++) {
		void *p = calloc(1, sizes[i % SIZES]);

		use(p);
		free(p);
	}
}

static void resize(long count)
{
	void *p = NULL;

	for (long i = 0; i < count; i++) {
		p = realloc(p, sizes[i % SIZES]);
		use(p);
	}
	free(p);
}

static void aligned_pairs(long count)
{
	for (long i = 0; i < count; i++) {
		void *p;

		if (posix_memalign(&p, ALIGNMENT, sizes[i % SIZES]) != 0)
			abort();
		use(p);
		free(p);
	}
}

static void system_calls(long count)
{
	for (long i = 0; i < count; i++)
		syscall(SYS_getppid);
}

static const struct {
	const char *name;
	void (*run)(long count);
} modes[] = {
	{ "calloc", calloc_pairs },
	{ "realloc", resize },
	{ "posix_memalign", aligned_pairs },
	{ "syscall", system_calls },
};

int main(int argc, char **argv)
{
	srand(1);
	for (int i = 0; i < SIZES; i++)
		sizes[i] = (uint16_t)(16 + rand() % 1009);
	for (size_t i = 0; argc > 2 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(argv[1], modes[i].name) == 0) {
			/* What an agent does at its start is measured elsewhere. */
			usleep(SETTLE_US);
			int64_t start = cpu_ns();

			modes[i].run(atol(argv[2]));
			printf("%lld\n", (long long)(cpu_ns() - start));
			return 0;
		}
	}
	return 2;
}

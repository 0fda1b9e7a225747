/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Burns CPU time in two functions, spin_three() and spin_one(), 3:1 by the thread's CPU clock.
 *
 *   v_spin [LOAD...]     one thread for each LOAD, per cent of the time that it works
 *                        (default: one of 100)
 *
 * The threads are called spin-0, spin-1, ... Prints "ready", then for each line "times" on stdin a
 * line "times NAME=TOTAL_NS ...", for each line "split" a line "split THREE_NS ONE_NS" (all
 * threads), and for each line "more" starts one more thread and says "more NAME". Ends with
 * status 0 at the end of stdin.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 64
/* No multiple of a sampling period: samples must not fall on the same spot of every round. */
#define ROUND_NS 37300000L

static struct spinner {
	pthread_t thread;
	int number;
	int load_percent;
	_Atomic int64_t three_ns, one_ns;
} spinners[THREADS_MAX];

static volatile uint64_t sink;

static int64_t cpu_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Inlined into both: their own instructions are what burns the time. */
__attribute__((always_inline)) static inline void burn(int64_t ns, _Atomic int64_t *burnt)
{
	int64_t start = cpu_ns(CLOCK_THREAD_CPUTIME_ID), last = start, now = start;
	uint64_t x = (uint64_t)start;

	while (now - start < ns) {
		for (int i = 0; i < 20000; i++)
			x = x * 6364136223846793005u + 1442695040888963407u;
		now = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
		*burnt += now - last;
		last = now;
	}
	sink = x;
}

__attribute__((noinline)) static void spin_three(struct spinner *self, int64_t ns)
{
	burn(ns, &self->three_ns);
}

__attribute__((noinline)) static void spin_one(struct spinner *self, int64_t ns)
{
	burn(ns, &self->one_ns);
}

static void *spin(void *arg)
{
	struct spinner *self = arg;
	int64_t work_ns = ROUND_NS * self->load_percent / 100;
	struct timespec rest = { .tv_nsec = ROUND_NS - work_ns };
	char name[16];

	snprintf(name, sizeof(name), "spin-%d", self->number);
	pthread_setname_np(pthread_self(), name);
	for (;;) {
		spin_three(self, work_ns * 3 / 4);
		spin_one(self, work_ns / 4);
		if (rest.tv_nsec)
			nanosleep(&rest, NULL);
	}
	return NULL;
}

static void print_times(int count)
{
	printf("times");
	for (int i = 0; i < count; i++) {
		clockid_t clock;

		pthread_getcpuclockid(spinners[i].thread, &clock);
		printf(" spin-%d=%lld", i, (long long)cpu_ns(clock));
	}
	printf("\n");
}

static void print_split(int count)
{
	int64_t three = 0, one = 0;

	for (int i = 0; i < count; i++) {
		three += spinners[i].three_ns;
		one += spinners[i].one_ns;
	}
	printf("split %lld %lld\n", (long long)three, (long long)one);
}

static int start(int number, int load_percent)
{
	spinners[number].number = number;
	spinners[number].load_percent = load_percent;
	return pthread_create(&spinners[number].thread, NULL, spin, &spinners[number]);
}

int main(int argc, char **argv)
{
	int count = 0;
	char line[64];

	for (int i = 1; i < argc && i <= THREADS_MAX; i++)
		if (start(count++, atoi(argv[i])))
			return 1;
	if (count == 0 && start(count++, 100))
		return 1;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "times\n"))
			print_times(count);
		else if (!strcmp(line, "split\n"))
			print_split(count);
		else if (!strcmp(line, "more\n") && count < THREADS_MAX) {
			if (start(count, 100))
				return 1;
			printf("more spin-%d\n", count++);
		}
		fflush(stdout);
	}
	return 0;
}

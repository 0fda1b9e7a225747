/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coroutines by makecontext and swapcontext on small stacks of their own, that allocate at several
 * depths (fiber_alloc). Below each stack lies a page that may not be touched.
 *
 *   v_fiber [STACK_BYTES [FIBERS [ROUNDS]]]     default: 8192 64 100. Prints "fiber ok SUM".
 *   v_fiber STACK_BYTES FIBERS 0                goes round until stdin ends
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define FIBERS_MAX 256

static ucontext_t main_context, fiber_context[FIBERS_MAX];
static long sum;
static int current;
static volatile unsigned long work;

__attribute__((noinline)) static long fiber_alloc(int depth)
{
	void *volatile p = malloc((size_t)depth * 100 + 50);
	long below;

	for (int i = 0; i < 2000; i++)
		work++;
	below = depth ? fiber_alloc(depth - 1) : 0;
	free(p);
	return below + 1;
}

static void fiber_main(void)
{
	for (;;) {
		sum += fiber_alloc(8);
		swapcontext(&fiber_context[current], &main_context);
	}
}

static void make_fiber(int i, size_t bytes)
{
	char *memory = mmap(NULL, bytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);

	mprotect(memory, 4096, PROT_NONE);
	getcontext(&fiber_context[i]);
	fiber_context[i].uc_stack.ss_sp = memory + 4096;
	fiber_context[i].uc_stack.ss_size = bytes;
	fiber_context[i].uc_link = NULL;
	makecontext(&fiber_context[i], fiber_main, 0);
}

static int input_ended(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	char byte;

	return poll(&in, 1, 0) == 1 && read(0, &byte, 1) <= 0;
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 8192;
	int fibers = argc > 2 ? atoi(argv[2]) : 64;
	int rounds = argc > 3 ? atoi(argv[3]) : 100;

	for (int i = 0; i < fibers; i++)
		make_fiber(i, bytes);
	puts("ready");
	fflush(stdout);
	for (int round = 0; rounds ? round < rounds : !input_ended(); round++)
		for (current = 0; current < fibers; current++)
			swapcontext(&main_context, &fiber_context[current]);
	if (rounds)
		printf("fiber ok %ld\n", sum);
	else
		printf("fiber ok\n");
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovers from stack overflow and null pointers on a small alternate stack: SIGSEGV handler,
 * siglongjmp out of it.
 *
 *   v_sigstack [N]     default: 500 of each; 0: until stdin ends. Prints "ready", then
 *                      "recovered OVERFLOWS NULLS".
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ALTERNATE_BYTES 8192

static sigjmp_buf back;
static volatile int *volatile nowhere;

static void on_fault(int number)
{
	siglongjmp(back, number);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winfinite-recursion"
__attribute__((noinline)) static int overflow(int depth)
{
	volatile char frame[4096];

	frame[0] = (char)depth;
	return overflow(depth + 1) + frame[0];
}
#pragma GCC diagnostic pop

static int input_ended(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	char byte;

	return poll(&in, 1, 0) == 1 && read(0, &byte, 1) <= 0;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 500;
	static int overflows, nulls;
	static char memory[ALTERNATE_BYTES];
	stack_t alternate = { .ss_sp = memory, .ss_size = sizeof(memory) };
	struct sigaction act = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK };

	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &act, NULL);
	puts("ready");
	fflush(stdout);
	for (volatile int i = 0; count ? i < count : !input_ended(); i++) {
		if (!sigsetjmp(back, 1))
			overflow(0);
		else
			overflows++;
		if (!sigsetjmp(back, 1))
			*nowhere = 1;
		else
			nulls++;
		free(malloc(1000));
	}
	printf("recovered %d %d\n", overflows, nulls);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of an alternate stack is used. Prints "ready", works until its stdin ends, then prints
 * "used OWN ALL": the bytes that a signal of its own has taken with a handler that does nothing,
 * and the most that all signals since then have taken.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES (256 << 10)
#define PATTERN ((char)0xa5)

static char memory[BYTES];
static volatile double work = 1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void on_signal(int number)
{
	(void)number;
}

static int used(void)
{
	int unused = 0;

	while (unused < BYTES && memory[unused] == PATTERN)
		unused++;
	memset(memory, PATTERN, sizeof(memory));
	return BYTES - unused;
}

static int input_ended(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };

	return poll(&in, 1, 0) != 0;
}

int main(void)
{
	stack_t alternate = { .ss_sp = memory, .ss_size = sizeof(memory) };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	int own;

	memset(memory, PATTERN, sizeof(memory));
	sigaltstack(&alternate, NULL);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	own = used();
	puts("ready");
	fflush(stdout);
	while (!input_ended()) {
		for (int i = 0; i < 100000; i++)
			work *= 1.0000001;
		free(malloc(3000));
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
	printf("used %d %d\n", own, used());
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads with the smallest stacks there are: PTHREAD_STACK_MIN, 16 KiB and a caller's own memory,
 * all of which allocate and free. Prints "smallstack ok N" with the number of threads that ran.
 *
 *   v_smallstack [ROUNDS]      default: 50; 0: until stdin ends
 */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SMALL 16384

static void *work(void *arg)
{
	for (int i = 0; i < 300; i++) {
		void *volatile p = malloc((size_t)i * 20 + 1);
		p = realloc(p, 5000);
		free(p);
	}
	return arg;
}

static int run(size_t size, void *memory)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	pthread_attr_init(&attr);
	if (memory)
		rc = pthread_attr_setstack(&attr, memory, size);
	else
		rc = pthread_attr_setstacksize(&attr, size);
	if (!rc)
		rc = pthread_create(&thread, &attr, work, NULL);
	if (rc) {
		printf("thread with %zu bytes: error %d\n", size, rc);
		return 0;
	}
	pthread_join(thread, NULL);
	return 1;
}

static int input_ended(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	char byte;

	return poll(&in, 1, 0) == 1 && read(0, &byte, 1) <= 0;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 50, ran = 0, i = 0;
	void *own = mmap(NULL, SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (; rounds ? i < rounds : !input_ended(); i++) {
		ran += run((size_t)PTHREAD_STACK_MIN, NULL);
		ran += run(SMALL, NULL);
		ran += run(SMALL, own);
	}
	printf("smallstack ok %d\n", ran);
	return ran != 3 * i;
}

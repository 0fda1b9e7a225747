/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds libiberty through symbols/demangle.c: a name, on a stack as large as that of the thread
 * that does it in the agent. May not happen: more stack, a result that is longer than its room, is
 * empty or has no end, or a long time.
 */
#include "fuzz.h"

#include <pthread.h>

#include "agent/symbols/demangle.h"

/* As in agent_thread.c. */
#define STACK_BYTES ((size_t)1 << 20)
#define ROOM_BYTES 4096

static struct {
	pthread_barrier_t begin, end;
	const char *name;
} state;

static void check(const char *name)
{
	for (size_t size = 1; size <= ROOM_BYTES; size *= 16) {
		char *out = malloc(size);
		bool done = pa_demangle(name, out, size);

		must(!done || (strnlen(out, size) < size && *out));
		free(out);
	}
}

static void *work(void *unused)
{
	(void)unused;
	for (;;) {
		pthread_barrier_wait(&state.begin);
		check(state.name);
		pthread_barrier_wait(&state.end);
	}
	return NULL;
}

static void start(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_barrier_init(&state.begin, NULL, 2);
	pthread_barrier_init(&state.end, NULL, 2);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	must(pthread_create(&thread, &attr, work, NULL) == 0);
	pthread_attr_destroy(&attr);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	if (!state.name)
		start();
	char *name = input_copy(bytes, count);
	state.name = name;
	pthread_barrier_wait(&state.begin);
	pthread_barrier_wait(&state.end);
	state.name = "";
	free(name);
	return 0;
}

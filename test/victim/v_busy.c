/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something for each profile: two threads, busy-0 and busy-1, that allocate in busy_keep(), use the
 * CPU in busy_burn(), and wait for each other's busy_hold(). Prints "ready"; ends with status 0 at
 * the end of stdin.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NOINLINE __attribute__((noinline)) static
#define KEPT 64
#define BLOCK_BYTES (256 << 10)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *kept[2][KEPT];
static atomic_int over;
static volatile uint64_t sink;

NOINLINE void busy_keep(void **place)
{
	free(*place);
	*place = malloc(BLOCK_BYTES);
}

NOINLINE void busy_burn(void)
{
	for (uint64_t i = 0; i < 200000; i++)
		sink += i * i;
}

NOINLINE void busy_hold(void)
{
	pthread_mutex_lock(&lock);
	busy_burn();
	pthread_mutex_unlock(&lock);
}

static void *busy(void *arg)
{
	void **mine = kept[*(int *)arg];
	for (unsigned round = 0; !atomic_load(&over); round++) {
		busy_keep(&mine[round % KEPT]);
		busy_burn();
		busy_hold();
	}
	return NULL;
}

int main(void)
{
	static int numbers[2] = { 0, 1 };
	pthread_t threads[2];
	for (int i = 0; i < 2; i++) {
		char name[16];
		snprintf(name, sizeof(name), "busy-%d", i);
		if (pthread_create(&threads[i], NULL, busy, &numbers[i]) != 0)
			return 1;
		pthread_setname_np(threads[i], name);
	}
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	atomic_store(&over, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

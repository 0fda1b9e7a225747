/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small service, as test/bench/fleet.go: three threads wake up twice a second, go a few calls
 * deep, allocate there, and wait for one mutex. Ends when stdin ends.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT 64
#define THREADS 3
#define PAUSE_US 500000

static pthread_mutex_t shelf_lock = PTHREAD_MUTEX_INITIALIZER;
static char *shelf[KEPT];

static void put(unsigned step, size_t bytes)
{
	char *fresh = malloc(bytes);

	memset(fresh, 1, bytes);
	pthread_mutex_lock(&shelf_lock);
	free(shelf[step % KEPT]);
	shelf[step % KEPT] = fresh;
	usleep(100);
	pthread_mutex_unlock(&shelf_lock);
}

static void walk(unsigned step, unsigned depth);

#define STAGE(name, bytes)                              \
	static void name(unsigned step, unsigned depth) \
	{                                               \
		if (depth == 0)                         \
			put(step, bytes);               \
		else                                    \
			walk(step, depth - 1);          \
	}
STAGE(parse_order, 2000)
STAGE(price_order, 9000)
STAGE(book_order, 30000)
STAGE(render_page, 70000)
STAGE(write_log, 500)
STAGE(load_user, 15000)
STAGE(check_stock, 4000)
STAGE(send_mail, 40000)

static void walk(unsigned step, unsigned depth)
{
	static void (*const stages[])(unsigned step, unsigned depth) = { parse_order, price_order,
		book_order, render_page, write_log, load_user, check_stock, send_mail };

	stages[(step >> (depth % 8)) % 8](step, depth);
}

static void *work(void *arg)
{
	for (unsigned step = 1;; step++) {
		walk(step, step % 12);
		usleep(PAUSE_US);
	}
	return arg;
}

int main(void)
{
	pthread_t threads[THREADS];
	char byte;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}

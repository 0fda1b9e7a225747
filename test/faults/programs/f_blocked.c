/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that block every signal, each in its own way, and two that sleep, two that burn CPU time
 * and one that waits in read. Prints "ready" when all are there, "early N" after its stdin has
 * ended: how many of the sleeps ended before their time.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic int there, stop, early;
static int pipe_end[2];
static volatile unsigned long work;

static void block_all(int raw)
{
	sigset_t all;
	sigfillset(&all);
	if (raw)
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
	else
		pthread_sigmask(SIG_SETMASK, &all, NULL);
	there++;
}

static void *sleep_blocked(void *raw)
{
	block_all(raw != NULL);
	while (!stop) {
		const struct timespec time = { .tv_nsec = 50000000 };
		early += nanosleep(&time, NULL) != 0;
	}
	return NULL;
}

static void *burn_blocked(void *raw)
{
	block_all(raw != NULL);
	while (!stop)
		work++;
	return NULL;
}

static void *read_blocked(void *raw)
{
	char byte;
	block_all(raw != NULL);
	early += read(pipe_end[0], &byte, 1) != 1;
	return NULL;
}

int main(void)
{
	void *(*const run[])(void *) = { sleep_blocked, sleep_blocked, burn_blocked, burn_blocked,
		read_blocked };
	pthread_t thread[5];
	char byte;
	if (pipe(pipe_end))
		return 1;
	for (int i = 0; i < 5; i++)
		pthread_create(&thread[i], NULL, run[i], i % 2 ? &stop : NULL);
	while (there < 5)
		sched_yield();
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	stop = 1;
	if (write(pipe_end[1], "x", 1) != 1)
		return 1;
	for (int i = 0; i < 5; i++)
		pthread_join(thread[i], NULL);
	printf("early %d\n", early);
	return 0;
}

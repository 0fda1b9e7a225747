/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 100 threads that burn CPU time in turns, in a process that may queue few signals. For each line
 * on stdin prints "room yes" when it can still queue five signals to itself and make a timer, as it
 * could at its start, else "room no". Prints "ready" first.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long work;

static void *burn(void *arg)
{
	for (;;) {
		for (int i = 0; i < 200000; i++)
			work++;
		usleep(50000);
	}
	return arg;
}

static int room(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	const union sigval value = { .sival_int = 1 };
	const struct timespec now = { 0 };
	sigset_t set;
	timer_t timer;
	int queued = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	for (int i = 0; i < 5; i++)
		queued += sigqueue(getpid(), SIGRTMIN, value) == 0;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) {
		timer_delete(timer);
		queued++;
	}
	while (sigtimedwait(&set, NULL, &now) == SIGRTMIN)
		;
	return queued == 6;
}

int main(void)
{
	pthread_t thread;
	sigset_t set;
	char line[16];
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 100; i++)
		if (pthread_create(&thread, NULL, burn, NULL))
			return 1;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		int had = room();
		for (int i = 0; i < 20; i++) {
			had &= room();
			usleep(2000);
		}
		printf("room %s\n", had ? "yes" : "no");
		fflush(stdout);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads wake each other by signals, each time in another call that waits with a mask of its
 * own: sigsuspend, ppoll, pselect, epoll_pwait, sigwaitinfo. If a signal does not end the call that
 * it comes in, they wait for ever.
 *
 * For each line on stdin it prints "rounds N", how often one was woken so far. At the end of
 * stdin it ends them and prints "early N", how often a call ended without their signal.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

static pthread_t player[2];
static _Atomic int stop, early, ended;
static _Atomic long rounds;
static __thread volatile sig_atomic_t got;

static void on_signal(int number)
{
	(void)number;
	got++;
}

static int wait_in(int form, const sigset_t *open, const sigset_t *own, int epoll)
{
	struct epoll_event event;

	switch (form) {
	case 0: return sigsuspend(open);
	case 1: return ppoll(NULL, 0, NULL, open);
	case 2: return pselect(0, NULL, NULL, NULL, NULL, open);
	case 3: return epoll_pwait(epoll, &event, 1, -1, open);
	default:
		got += sigwaitinfo(own, NULL) == SIGUSR1;
		errno = EINTR;
		return -1;
	}
}

static void *play(void *arg)
{
	long me = (long)arg;
	int epoll = epoll_create1(0);
	sigset_t open, own;

	pthread_sigmask(SIG_BLOCK, NULL, &open);
	sigdelset(&open, SIGUSR1);
	sigemptyset(&own);
	sigaddset(&own, SIGUSR1);
	for (int turn = 0; !stop; turn++) {
		sig_atomic_t had = got;

		while (got == had && !stop) {
			if (wait_in(turn % 5, &open, &own, epoll) != -1 || errno != EINTR)
				abort();
			early += got == had && !stop;
		}
		rounds++;
		pthread_kill(player[!me], SIGUSR1);
	}
	ended++;
	close(epoll);
	return arg;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t own;
	char line[16];

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&own);
	sigaddset(&own, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &own, NULL);
	for (long i = 0; i < 2; i++)
		pthread_create(&player[i], NULL, play, (void *)i);
	pthread_kill(player[0], SIGUSR1);
	while (fgets(line, sizeof(line), stdin)) {
		printf("rounds %ld\n", rounds);
		fflush(stdout);
	}
	stop = 1;
	while (ended < 2) {
		for (int i = 0; i < 2; i++)
			pthread_kill(player[i], SIGUSR1);
		usleep(1000);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(player[i], NULL);
	printf("early %d\n", early);
	return 0;
}

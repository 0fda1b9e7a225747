/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets the disposition of SIGRTMAX-3 over and over, in two threads and in a handler, by every
 * function that libc has for it, and in children that share its memory, while two others burn CPU
 * time. Prints "ready", and at the end of its stdin "alive", or what was read back differently.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define NUMBER (SIGRTMAX - 3)

static volatile int over;
static volatile unsigned long work;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void *burn(void *arg)
{
	while (!over)
		work++;
	return arg;
}

static sighandler_t read_back(void)
{
	struct sigaction now;
	sigaction(NUMBER, NULL, &now);
	return now.sa_handler;
}

static void set(int way, sighandler_t handler)
{
	struct sigaction action = { .sa_handler = handler };
	switch (way % 6) {
	case 0: sigaction(NUMBER, &action, NULL); break;
	case 1: signal(NUMBER, handler); break;
	case 2: sysv_signal(NUMBER, handler); break;
	case 3: sigset(NUMBER, handler); break;
	case 4: ssignal(NUMBER, handler); break;
	default: siginterrupt(NUMBER, 1); signal(NUMBER, handler);
	}
}

static void on_timer(int number)
{
	(void)number;
	set(0, SIG_DFL); /* what the thread that was interrupted sets as well, or not yet */
}

static void *set_all(void *arg)
{
	for (int i = 0; !over; i++) {
		pthread_mutex_lock(&turn);
		set(i, SIG_DFL);
		if (read_back() != SIG_DFL)
			puts("not the default");
		set(i, SIG_IGN);
		set(i, SIG_DFL);
		pthread_mutex_unlock(&turn);
	}
	return arg;
}

static void *set_in_children(void *arg)
{
	while (!over) {
		int status;
		pid_t child = vfork();
		if (child == 0) {
			struct sigaction action = { .sa_handler = SIG_DFL };
			sigaction(NUMBER, &action, NULL);
			_exit(0);
		}
		waitpid(child, &status, 0);
		if (status)
			puts("a child failed");
		usleep(1000);
	}
	return arg;
}

int main(void)
{
	pthread_t threads[5];
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	pthread_create(&threads[0], NULL, burn, NULL);
	pthread_create(&threads[1], NULL, burn, NULL);
	pthread_create(&threads[2], NULL, set_all, NULL);
	pthread_create(&threads[3], NULL, set_all, NULL);
	pthread_create(&threads[4], NULL, set_in_children, NULL);
	signal(SIGALRM, on_timer);
	setitimer(ITIMER_REAL, &often, NULL);
	puts("ready");
	fflush(stdout);
	/* In pieces: the timer interrupts nothing that matters, and read() is begun again. */
	while (getchar() != EOF)
		;
	over = 1;
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	puts("alive");
	return 0;
}

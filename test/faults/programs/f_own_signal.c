/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with a handler of its own for a signal that a profiler likes to use.
 *
 *   f_own_signal SIGNAL sigaction | signal
 *
 * Prints "ready"; then for each line on stdin does what it says and prints "WORD yes" or "WORD no":
 * set (installs the handler), same (reads back what it set: the handler, its mask and flags), quiet
 * (the handler was never called), raise (1000 times, and each one came), blocked (100 raised while
 * all signals are blocked come once they are not, not before), default (gives it up). Ends with its
 * stdin.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SA_RESTORER 0x04000000 /* libc's own business */

static int number;
static const char *way;
static volatile sig_atomic_t calls;
static volatile unsigned long work;
static struct sigaction mine;

static void handler(int got)
{
	calls += got == number;
}

static int set(void)
{
	if (!strcmp(way, "signal"))
		return signal(number, handler) != SIG_ERR;
	return sigaction(number, &mine, NULL) == 0;
}

static int same(void)
{
	struct sigaction now;
	sigaction(number, NULL, &now);
	if (!strcmp(way, "signal"))
		return now.sa_handler == handler;
	return now.sa_handler == handler && (now.sa_flags & ~SA_RESTORER) == mine.sa_flags &&
		sigismember(&now.sa_mask, SIGHUP) == 1 && sigismember(&now.sa_mask, SIGINT) == 0;
}

static int raise_all(void)
{
	int before = calls;
	for (int i = 0; i < 1000; i++)
		raise(number);
	return calls == before + 1000;
}

static int blocked(void)
{
	sigset_t all, old;
	int before = calls, meanwhile;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (int i = 0; i < 100; i++)
		raise(number);
	meanwhile = calls;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return meanwhile == before && calls == before + (number < SIGRTMIN ? 1 : 100);
}

static void *burn(void *arg)
{
	for (;;)
		work++;
	return arg;
}

static int answer(const char *word)
{
	int before = calls;
	if (!strcmp(word, "set"))
		return set();
	if (!strcmp(word, "same"))
		return same();
	if (!strcmp(word, "quiet"))
		return before == 0;
	if (!strcmp(word, "raise"))
		return raise_all();
	if (!strcmp(word, "blocked"))
		return blocked();
	return signal(number, SIG_DFL) == handler;
}

int main(int argc, char **argv)
{
	char word[32];
	pthread_t thread;
	if (argc < 3)
		return 2;
	number = atoi(argv[1]);
	way = argv[2];
	mine.sa_handler = handler;
	mine.sa_flags = SA_NODEFER;
	sigaddset(&mine.sa_mask, SIGHUP);
	pthread_create(&thread, NULL, burn, NULL);
	puts("ready");
	fflush(stdout);
	while (scanf("%31s", word) == 1) {
		printf("%s %s\n", word, answer(word) ? "yes" : "no");
		fflush(stdout);
	}
	return 0;
}

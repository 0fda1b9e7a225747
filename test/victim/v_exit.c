/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every way out of a program. Each prints "leaving" first, and has the status that its name implies
 * (3 where nothing else is said).
 *
 *   v_exit return | exit | thread | _exit | quick | abort | term | handler | race | pthread
 *          | atexit | segv | exec | busy | detached
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *exit_here(void *arg)
{
	exit(arg ? *(int *)arg : 3);
}

static void on_signal(int number)
{
	(void)number;
	exit(3);
}

static void say_first(void)
{
	puts("registered first");
}

static void say_second(void)
{
	free(malloc(100));
	puts("registered second");
}

static void *busy(void *arg)
{
	for (;;) {
		void *volatile p = malloc(500);
		free(p);
	}
	return arg;
}

static void *short_life(void *arg)
{
	free(malloc(100));
	puts("last thread");
	fflush(stdout);
	return arg;
}

static void start(void *(*run)(void *), int count)
{
	pthread_t thread;

	for (int i = 0; i < count; i++)
		pthread_create(&thread, NULL, run, NULL);
}

static int leave(const char *how)
{
	if (!strcmp(how, "exit"))
		exit(3);
	if (!strcmp(how, "_exit"))
		_exit(3);
	if (!strcmp(how, "quick"))
		quick_exit(3);
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "term"))
		raise(SIGTERM);
	if (!strcmp(how, "segv"))
		raise(SIGSEGV);
	if (!strcmp(how, "handler")) {
		signal(SIGUSR1, on_signal);
		raise(SIGUSR1);
	}
	if (!strcmp(how, "exec"))
		execl("/bin/sh", "sh", "-c", "exit 3", (char *)NULL);
	if (!strcmp(how, "thread")) {
		start(exit_here, 1);
		pause();
	}
	if (!strcmp(how, "race"))
		start(exit_here, 2);
	if (!strcmp(how, "busy"))
		start(busy, 8);
	if (!strcmp(how, "atexit")) {
		atexit(say_first);
		atexit(say_second);
	}
	if (!strcmp(how, "pthread")) {
		start(short_life, 1);
		pthread_exit(NULL);
	}
	return 3;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "return";

	for (int i = 0; i < 1000; i++)
		free(malloc((size_t)i));
	puts("leaving");
	fflush(stdout);
	return leave(how);
}

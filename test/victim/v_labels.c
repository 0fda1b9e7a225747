/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that has labels, by pprofagent.h.
 *
 *   v_labels check     what each call returns and finds, one line each, and ends
 *   v_labels run       threads that burn CPU time, sleep and wait under labels; says "ready", for
 *                      each line "fork" forks a child with the same labels that burns too, and
 *                      says "fork PID", and ends with status 0 at the end of stdin
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../agent/pprofagent.h"

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static volatile uint64_t sink;

/* ---- check ---- */

static bool print_label(const char *key, const char *value, void *left)
{
	int *more = left;

	printf(" %s=%s", key, value);
	return --*more > 0;
}

static void print_labels(const char *what, int most)
{
	printf("%s", what);
	pprofagent_for_labels(print_label, &most);
	printf("\n");
}

static void check_inner(void *arg)
{
	const char *k = pprofagent_label("k");

	print_labels("inner", 9);
	printf("k %s\n", k ? k : "none");
	*(int *)arg += 1;
}

static void check_outer(void *arg)
{
	print_labels("outer", 9);
	printf("do %d\n", pprofagent_do(LIST("k", "inner"), check_inner, arg));
	print_labels("outer again", 9);
}

static void *check_child(void *unused)
{
	print_labels("child", 9);
	printf("child set %d\n", pprofagent_set_labels(LIST("k", "child")));
	print_labels("child", 9);
	return unused;
}

static int check(void)
{
	pthread_t child;
	int ran = 0;

	errno = 12345;
	print_labels("none", 9);
	printf("set %d\n", pprofagent_set_labels(LIST("z", "1", "a", "2", "k", "first", "k", "v")));
	print_labels("all", 9);
	print_labels("two", 2);
	printf("odd %d\n", pprofagent_set_labels(LIST("a", "3", "b")));
	print_labels("after odd", 9);
	printf("do odd %d\n", pprofagent_do(LIST("odd"), check_inner, &ran));
	printf("do %d\n", pprofagent_do(LIST("k", "outer"), check_outer, &ran));
	pthread_create(&child, NULL, check_child, NULL);
	pthread_join(child, NULL);
	print_labels("after child", 9);
	printf("clear %d\n", pprofagent_set_labels(NULL));
	print_labels("cleared", 9);
	printf("ran %d\n", ran);
	return errno == 12345 ? 0 : 1;
}

/* ---- run ---- */

/* Inlined into each: their own instructions are what burns the time. Each asks for another one, or
 * the compiler would make one function of two. */
__attribute__((always_inline)) static inline void burn(long ms)
{
	struct timespec t;
	uint64_t x = 1;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	for (long end = t.tv_sec * 1000 + t.tv_nsec / 1000000 + ms;
		t.tv_sec * 1000 + t.tv_nsec / 1000000 < end;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t))
		for (int i = 0; i < 20000; i++)
			x = x * 6364136223846793005u + 1442695040888963407u;
	sink = x;
}

__attribute__((noinline)) static void burn_worker(void *unused)
{
	(void)unused;
	burn(30);
}

__attribute__((noinline)) static void burn_inner(void *unused)
{
	(void)unused;
	burn(20);
}

__attribute__((noinline)) static void burn_outer(void)
{
	burn(10);
}

__attribute__((noinline)) static void burn_nested(void *unused)
{
	burn_outer();
	pprofagent_do(LIST("k", "inner"), burn_inner, unused);
	burn_outer();
}

__attribute__((noinline)) static void burn_plain(void)
{
	burn(15);
}

static void *be_burner(void *unused)
{
	for (;;) {
		pprofagent_do(LIST("worker", "burner", "k2", "v 2"), burn_worker, NULL);
		pprofagent_do(LIST("k", "outer", "z", "1"), burn_nested, NULL);
		burn_plain();
	}
	return unused;
}

__attribute__((noinline)) static void *burn_heir(void *unused)
{
	for (;;)
		burn(10);
	return unused;
}

__attribute__((noinline)) static void *sleep_heir(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noinline)) static void *wait_heir(void *unused)
{
	pthread_mutex_lock(&held);
	pthread_mutex_unlock(&held);
	return unused;
}

static void start(void *(*run)(void *))
{
	pthread_t thread;

	pthread_create(&thread, NULL, run, NULL);
	pthread_detach(thread);
}

static void start_heirs(void *unused)
{
	(void)unused;
	start(burn_heir);
	start(sleep_heir);
	start(sleep_heir);
	start(wait_heir);
}

__attribute__((noinline)) static void burn_child(void)
{
	for (;;)
		burn(12);
}

static void fork_burner(void *unused)
{
	pid_t pid = fork();

	(void)unused;
	if (!pid)
		burn_child();
	printf("fork %d\n", pid);
	fflush(stdout);
}

static int run(void)
{
	char line[64];

	pthread_mutex_lock(&held);
	start(be_burner);
	pprofagent_do(LIST("from", "parent", "k", "\"quoted\""), start_heirs, NULL);
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		if (strcmp(line, "fork\n") == 0)
			pprofagent_do(LIST("from", "fork"), fork_burner, NULL);
	_exit(0);
}

int main(int argc, char **argv)
{
	return argc > 1 && strcmp(argv[1], "check") == 0 ? check() : run();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread that allocates all the time, and a timer whose handler forks: what a program with one
 * thread may do, and crash reporters do. The children leave by _exit(7) at once.
 *
 *   f_sigfork N [alt]     prints "forked N wrong W"; alt: the handler has a stack of its own
 *   f_sigfork go N        as above; the children go back to what the handler interrupted, allocate
 *                         on and leave by _exit(7)
 *   f_sigfork abort       damages the heap, malloc aborts; the handler of that forks a child, waits
 *                         for it and leaves: prints "reported 7"
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t forked, wrong, wanted, children_go, is_child;

static int child_code(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0 && !children_go)
		_exit(7);
	if (pid == 0) {
		is_child = 1;
		return 7;
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void on_alarm(int number)
{
	(void)number;
	if (forked >= wanted)
		return;
	forked++;
	wrong += child_code() != 7;
}

static void on_abort(int number)
{
	(void)number;
	char text[] = "reported ?\n";
	int code = child_code();
	text[9] = code == 7 ? '7' : 'x';
	_exit(write(1, text, sizeof(text) - 1) < 0);
}

/* Sizes that no thread's cache keeps: each call works in the heap itself, behind its lock. */
static void churn(void)
{
	static void *kept[512];
	static unsigned random = 1;
	random = random * 1103515245 + 12345;
	unsigned i = random >> 16 & 511;
	free(kept[i]);
	kept[i] = malloc(1100 + (random >> 8 & 8191));
}

static void damage(void)
{
	static char stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = on_abort, .sa_flags = SA_ONSTACK };
	sigaltstack(&alternate, NULL);
	sigaction(SIGABRT, &action, NULL);
	volatile size_t *volatile last = malloc(24);
	last[3] = (size_t)-8; /* the size of what is left of the heap */
	last = malloc(100000);
}

int main(int argc, char **argv)
{
	static char stack[65536];
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } }, off = { 0 };
	const char *how = argc > 1 ? argv[1] : "100";
	if (!strcmp(how, "abort")) {
		damage();
		return 1;
	}
	children_go = !strcmp(how, "go");
	wanted = atoi(argv[children_go ? 2 : 1]);
	if (argc > 2 && !strcmp(argv[2], "alt")) {
		stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
		sigaltstack(&alternate, NULL);
		action.sa_flags |= SA_ONSTACK;
	}
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	while (forked < wanted && !is_child)
		churn();
	if (is_child)
		_exit(7);
	setitimer(ITIMER_REAL, &off, NULL);
	printf("forked %d wrong %d\n", (int)forked, (int)wrong);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of many processes. Reads commands, each a word and a number:
 *
 *   fork N    N children, which wait; child K keeps K MiB (keep_child). "child PID" for each.
 *   burn N    N children that consume CPU time (burn_child). "child PID" for each.
 *   line N    a child, its child and so on, N in all. "child PID" for each.
 *   short N   N children that end at once, one after another. "short N" at the end.
 *   orphan N  N children as of fork that outlive their parent.
 *
 * Prints "ready" first. Children end with their parent, except after orphan.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define MIB ((size_t)1 << 20)

char *volatile kept;
volatile unsigned long burnt;
static pid_t first;
static int orphans;

NOINLINE void keep_parent(size_t bytes)
{
	kept = malloc(bytes);
	memset(kept, 1, bytes);
}

NOINLINE void keep_child(size_t bytes)
{
	kept = malloc(bytes);
	memset(kept, 1, bytes);
}

NOINLINE void burn_child(void)
{
	for (int i = 0; i < 1000000; i++)
		burnt++;
}

static void say(const char *word, int number)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "%s %d\n", word, number);
	if (write(STDOUT_FILENO, line, (size_t)length) != length)
		_exit(1);
}

static void live(int burn)
{
	close(STDIN_FILENO);
	for (;;) {
		if (burn)
			burn_child();
		else
			pause();
	}
}

static void begin_child(pid_t parent)
{
	if (!orphans)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!orphans && getppid() != parent)
		_exit(0);
	say("child", getpid());
}

static void fork_many(int count, int burn)
{
	pid_t parent = getpid();

	for (int i = 1; i <= count; i++) {
		if (fork() != 0)
			continue;
		begin_child(parent);
		if (!burn)
			keep_child((size_t)i * MIB);
		live(burn);
	}
}

/* Each forks the next one and waits. */
static void fork_line(int count)
{
	pid_t parent = getpid();

	for (int i = 1; i <= count; i++) {
		if (fork() != 0)
			break;
		begin_child(parent);
		parent = getpid();
		keep_child((size_t)i * MIB);
	}
	if (getpid() != first)
		live(0);
}

static void fork_short(int count)
{
	for (int i = 0; i < count; i++) {
		pid_t child = fork();
		if (child == 0)
			_exit(0);
		waitpid(child, NULL, 0);
	}
	say("short", count);
}

int main(void)
{
	char word[16];
	int number;

	first = getpid();
	setvbuf(stdin, NULL, _IONBF, 0);
	keep_parent(8 * MIB);
	puts("ready");
	fflush(stdout);
	while (scanf("%15s %d", word, &number) == 2) {
		if (!strcmp(word, "fork"))
			fork_many(number, 0);
		else if (!strcmp(word, "burn"))
			fork_many(number, 1);
		else if (!strcmp(word, "line"))
			fork_line(number);
		else if (!strcmp(word, "short"))
			fork_short(number);
		else if (!strcmp(word, "orphan"))
			orphans = 1, fork_many(number, 0);
	}
	return 0;
}

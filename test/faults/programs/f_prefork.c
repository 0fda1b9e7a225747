/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A prefork server: makes N children that wait for work on one pipe, and says how each ended.
 * Prints "child PID" N times, then "ended PID SIGNAL" for each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int work[2];

static __attribute__((noinline)) void wait_for_work(void)
{
	char byte;
	void *volatile block;
	while (read(work[0], &byte, 1) > 0)
		block = malloc(1000);
	(void)block;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 4, status;
	if (pipe(work) != 0)
		return 1;
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			wait_for_work();
			return 3;
		}
		printf("child %d\n", (int)pid);
		fflush(stdout);
	}
	for (int i = 0; i < count; i++) {
		pid_t pid = wait(&status);
		printf("ended %d %d\n", (int)pid, WIFSIGNALED(status) ? WTERMSIG(status) : -1);
		fflush(stdout);
	}
	return 0;
}

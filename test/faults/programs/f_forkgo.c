/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Burns in a thread and forks when told on stdin. stay: the child burns until its parent ends, the
 * parent says "child PID". leave: the child exits, the parent says "left CODE".
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile unsigned long work;

static __attribute__((noinline)) void *burn(void *arg)
{
	for (;;)
		work++;
	return arg;
}

int main(void)
{
	pthread_t thread;
	char line[64];
	int status = 0;
	pthread_create(&thread, NULL, burn, NULL);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		int stays = !strncmp(line, "stay", 4);
		pid_t pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (stays)
				burn(NULL);
			exit(5);
		}
		if (!stays)
			waitpid(pid, &status, 0);
		if (stays)
			printf("child %d\n", (int)pid);
		else
			printf("left %d\n", WEXITSTATUS(status));
		fflush(stdout);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces itself N times, each time from another state; at last prints "end PID-is-the-same". */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char pid_text[16], left_text[16];
static char *arguments[4] = { "f_execs", left_text, pid_text, NULL };
extern char **environ;

static void *exec_here(void *arg)
{
	execv("/proc/self/exe", arguments);
	return arg;
}

static void *allocate(void *arg)
{
	for (;;)
		free(malloc(3000));
	return arg;
}

int main(int argc, char **argv)
{
	int left = argc > 1 ? atoi(argv[1]) : 10;
	int pid = argc > 2 ? atoi(argv[2]) : (int)getpid();
	pthread_t thread;
	if (left == 0) {
		printf("end %d\n", pid == (int)getpid());
		return 4;
	}
	snprintf(left_text, sizeof(left_text), "%d", left - 1);
	snprintf(pid_text, sizeof(pid_text), "%d", pid);
	/* The agent wakes 20 ms after the start. */
	usleep((unsigned)(left % 10) * 4000);
	switch (left % 3) {
	case 0: exec_here(NULL); break;
	case 1:
		pthread_create(&thread, NULL, allocate, NULL);
		exec_here(NULL);
		break;
	default: pthread_create(&thread, NULL, exec_here, NULL); pthread_join(thread, NULL);
	}
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* N times within a second: wait() must say ECHILD at once; no SIGCHLD comes. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static volatile sig_atomic_t children_ended;

static void on_child(int number)
{
	(void)number;
	children_ended++;
}

int main(int argc, char **argv)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int count = argc > 1 ? atoi(argv[1]) : 1000, none = 0;
	signal(SIGCHLD, on_child);
	for (int i = 0; i < count; i++) {
		none += wait(NULL) < 0 && errno == ECHILD;
		none += waitpid(-1, NULL, __WALL) < 0 && errno == ECHILD;
		nanosleep(&pause, NULL);
	}
	printf("ECHILD %d SIGCHLD %d\n", none / 2, (int)children_ended);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of the process that no fork handler sees being made, while the agent starts and works:
 * each takes the loader's lock, allocates, and leaves by exit().
 *
 *   f_copies clone|_Fork|syscall|clone3|stack|stack3 MS [DELAY_US]
 *                        for MS milliseconds; with a delay in a forked child of that age. stack:
 *                        clone and clone3 by syscall(), and back on another stack
 */
#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char stack[262144] __attribute__((aligned(16)));

static int child(void *unused)
{
	(void)unused;
	free(malloc(100000));
	if (!dlsym(RTLD_DEFAULT, "printf"))
		_exit(1);
	if (fork() == 0) /* a copy's child has its fork handlers */
		exit(0);
	wait(NULL);
	exit(0);
}

static void child_on_stack(void)
{
	char here;
	if (&here < stack || &here >= stack + sizeof(stack))
		_exit(2);
	child(NULL);
}

static pid_t copy(const char *how)
{
	pid_t pid;
	if (!strcmp(how, "clone"))
		return clone(child, stack + sizeof(stack), SIGCHLD, NULL);
	unsigned long long args[8] = { [4] = SIGCHLD };
	if (!strncmp(how, "stack", 5)) {
		/* syscall() returns to what stands there, with the stack as after a call. */
		void **top = (void **)(stack + sizeof(stack)) - 2;
		top[0] = child_on_stack;
		args[5] = (uintptr_t)stack;
		args[6] = sizeof(stack) - 2 * sizeof(*top);
		return how[5] ? (pid_t)syscall(SYS_clone3, args, sizeof(args)) :
				(pid_t)syscall(SYS_clone, SIGCHLD, top, NULL, NULL, NULL);
	}
	if (!strcmp(how, "_Fork"))
		pid = _Fork();
	else if (!strcmp(how, "clone3"))
		pid = (pid_t)syscall(SYS_clone3, args, sizeof(args));
	else
		pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		child(NULL);
	return pid;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static int copies(const char *how, double seconds)
{
	int status, wrong = 0;
	for (double end = now() + seconds; now() < end;) {
		pid_t pid = copy(how);
		if (waitpid(pid, &status, 0) != pid || status != 0)
			wrong++;
	}
	return wrong;
}

int main(int argc, char **argv)
{
	int status, wrong;
	double seconds = argc > 2 ? atoi(argv[2]) / 1e3 : 0.3;
	if (argc > 3 && fork() != 0) {
		wait(&status);
		return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	if (argc > 3)
		usleep((unsigned)atoi(argv[3]));
	wrong = copies(argv[1], seconds);
	printf("wrong %d\n", wrong);
	return wrong != 0;
}

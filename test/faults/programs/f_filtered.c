/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A launcher that puts a filter of system calls on what it starts, as sandboxes and services
 * managers do: those that are named end the process, fail, or raise SIGSYS; all others are allowed.
 *
 *   f_filtered list                                the calls that the agent makes, one a line
 *   f_filtered kill|errno|trap NAME own|fork COMMAND...
 *
 * own: COMMAND takes the place of this process; fork: it is a child, both under the filter.
 *
 *   f_filtered work SECONDS [thread]    a command: allocates; in two threads
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../agent/record/calls.h"

static const struct {
	const char *name;
	int number;
} calls[] = {
#define X(name, ...) { #name, SYS_##name },
	PA_CALLS(X)
#undef X
		{ "rt_sigreturn", SYS_rt_sigreturn },
	{ "wait4", SYS_wait4 },
	{ "fork", SYS_fork },
	{ "vfork", SYS_vfork },
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static int find(const char *name)
{
	for (size_t i = 0; i < CALLS; i++)
		if (strcmp(calls[i].name, name) == 0)
			return (int)i;
	return -1;
}

static int list(void)
{
	for (size_t i = 0; i < CALLS; i++)
		if (find(calls[i].name) == (int)i)
			puts(calls[i].name);
	return 0;
}

static void enter(const char *action, int number)
{
	unsigned verdict = action[0] == 'k' ? SECCOMP_RET_KILL_PROCESS :
		action[0] == 't'            ? SECCOMP_RET_TRAP :
					      SECCOMP_RET_ERRNO | EPERM;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, verdict),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		exit(125);
}

static void *allocate(void *seconds)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	double end = (double)now.tv_sec + (double)now.tv_nsec / 1e9 + *(double *)seconds;
	do {
		for (size_t i = 0; i < 1000; i++)
			free(malloc(16 + i));
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)now.tv_sec + (double)now.tv_nsec / 1e9 < end);
	return NULL;
}

static int work(double seconds, int has_thread)
{
	pthread_t thread;
	if (has_thread && pthread_create(&thread, NULL, allocate, &seconds) != 0)
		return 4;
	allocate(&seconds);
	if (has_thread)
		pthread_join(thread, NULL);
	puts("worked");
	return 3;
}

int main(int argc, char **argv)
{
	int status = 0;
	if (argc > 1 && strcmp(argv[1], "list") == 0)
		return list();
	if (argc > 2 && strcmp(argv[1], "work") == 0)
		return work(atof(argv[2]), argc > 3);
	int call = argc > 4 ? find(argv[2]) : -1;
	if (call < 0)
		return 126;
	enter(argv[1], calls[call].number);
	pid_t child = strcmp(argv[3], "fork") == 0 ? fork() : 0;
	if (child == 0) {
		execvp(argv[4], argv + 4);
		_exit(127);
	}
	if (child > 0 && waitpid(child, &status, 0) == child)
		return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return 124;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that the agent must never call in the program, whatever its libraries try: see
 * libc_shims.h. */
#include "libc_shims.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <error.h>
#include <grp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/lock.h"
#include "../symbols/symbols.h"

static int refuse_call(void)
{
	errno = EPERM;
	return -1;
}

pid_t fork(void)
{
	return refuse_call();
}

pid_t vfork(void)
{
	return refuse_call();
}

FILE *popen(const char *command, const char *mode)
{
	(void)command;
	(void)mode;
	refuse_call();
	return NULL;
}

int pclose(FILE *stream)
{
	(void)stream;
	return refuse_call();
}

int system(const char *command)
{
	(void)command;
	return refuse_call();
}

int execve(const char *path, char *const argv[], char *const envp[])
{
	(void)path;
	(void)argv;
	(void)envp;
	return refuse_call();
}

int execle(const char *path, const char *arg, ...)
{
	(void)path;
	(void)arg;
	return refuse_call();
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	(void)pid;
	(void)path;
	(void)actions;
	(void)attr;
	(void)argv;
	(void)envp;
	return EPERM;
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	(void)pid;
	(void)status;
	(void)options;
	errno = ECHILD;
	return -1;
}

int kill(pid_t pid, int signal_number)
{
	(void)pid;
	(void)signal_number;
	return refuse_call();
}

long ptrace(enum __ptrace_request request, ...)
{
	(void)request;
	return refuse_call();
}

int chdir(const char *path)
{
	(void)path;
	return refuse_call();
}

int dup2(int from, int to)
{
	(void)from;
	(void)to;
	return refuse_call();
}

int setuid(uid_t uid)
{
	(void)uid;
	return refuse_call();
}

int setgid(gid_t gid)
{
	(void)gid;
	return refuse_call();
}

int setgroups(size_t count, const gid_t *groups)
{
	(void)count;
	(void)groups;
	return refuse_call();
}

/* libdw would load the debuginfod client, civetweb a TLS library. */
void *dlopen(const char *path, int flags)
{
	(void)path;
	(void)flags;
	return NULL;
}

/* ---- the end ---- */

/* Stops the calling thread forever. Requests may stay without a response; the program continues. */
static void __attribute__((noreturn)) stop_thread(void)
{
	static PA_ATOMIC(uint32_t) never;

	pa_symbols_bail();
	for (;;)
		pa_futex_wait(&never, 0, -1);
}

void exit(int status)
{
	(void)status;
	stop_thread();
}

void _exit(int status)
{
	(void)status;
	stop_thread();
}

void abort(void)
{
	stop_thread();
}

void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
	(void)assertion;
	(void)file;
	(void)line;
	(void)function;
	stop_thread();
}

/* libdw calls error() when it has no memory. */
void error(int status, int number, const char *format, ...)
{
	(void)number;
	(void)format;
	if (status)
		stop_thread();
}

/* What nothing of ours may do to the program, whatever our libraries try: see guest.h. */
#include "guest.h"

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
#include "../profile/symbols.h"

static int refuse(void)
{
	errno = EPERM;
	return -1;
}

pid_t fork(void)
{
	return refuse();
}

pid_t vfork(void)
{
	return refuse();
}

FILE *popen(const char *command, const char *mode)
{
	(void)command;
	(void)mode;
	refuse();
	return NULL;
}

int pclose(FILE *stream)
{
	(void)stream;
	return refuse();
}

int system(const char *command)
{
	(void)command;
	return refuse();
}

int execve(const char *path, char *const argv[], char *const envp[])
{
	(void)path;
	(void)argv;
	(void)envp;
	return refuse();
}

int execle(const char *path, const char *arg, ...)
{
	(void)path;
	(void)arg;
	return refuse();
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
	return refuse();
}

long ptrace(enum __ptrace_request request, ...)
{
	(void)request;
	return refuse();
}

int chdir(const char *path)
{
	(void)path;
	return refuse();
}

int dup2(int from, int to)
{
	(void)from;
	(void)to;
	return refuse();
}

int setuid(uid_t uid)
{
	(void)uid;
	return refuse();
}

int setgid(gid_t gid)
{
	(void)gid;
	return refuse();
}

int setgroups(size_t count, const gid_t *groups)
{
	(void)count;
	(void)groups;
	return refuse();
}

/* libdw would load a client of debug information servers in the network; civetweb TLS. */
void *dlopen(const char *path, int flags)
{
	(void)path;
	(void)flags;
	return NULL;
}

/* ---- the end ---- */

/* At worst no request is answered any more; the program runs on. */
static void __attribute__((noreturn)) stop(void)
{
	static PA_ATOMIC(uint32_t) never;

	pa_symbols_bail();
	for (;;)
		pa_futex_wait(&never, 0, -1);
}

void exit(int status)
{
	(void)status;
	stop();
}

void _exit(int status)
{
	(void)status;
	stop();
}

void abort(void)
{
	stop();
}

void __assert_fail(const char *assertion, const char *file, unsigned line,
	const char *function)
{
	(void)assertion;
	(void)file;
	(void)line;
	(void)function;
	stop();
}

/* libdw's way to say that it found no memory. */
void error(int status, int number, const char *format, ...)
{
	(void)number;
	(void)format;
	if (status)
		stop();
}

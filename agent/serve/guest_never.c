/* What nothing of ours may do to the program, whatever our libraries try: see guest.h. */
#include "guest.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
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

PA_EXPORT pid_t fork(void)
{
	return refuse();
}

PA_EXPORT pid_t vfork(void)
{
	return refuse();
}

PA_EXPORT FILE *popen(const char *command, const char *mode)
{
	(void)command;
	(void)mode;
	refuse();
	return NULL;
}

PA_EXPORT int pclose(FILE *stream)
{
	(void)stream;
	return refuse();
}

PA_EXPORT int system(const char *command)
{
	(void)command;
	return refuse();
}

PA_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	(void)path;
	(void)argv;
	(void)envp;
	return refuse();
}

PA_EXPORT int execle(const char *path, const char *arg, ...)
{
	(void)path;
	(void)arg;
	return refuse();
}

PA_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
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

PA_EXPORT pid_t waitpid(pid_t pid, int *status, int options)
{
	(void)pid;
	(void)status;
	(void)options;
	errno = ECHILD;
	return -1;
}

PA_EXPORT int kill(pid_t pid, int signal_number)
{
	(void)pid;
	(void)signal_number;
	return refuse();
}

PA_EXPORT long ptrace(enum __ptrace_request request, ...)
{
	(void)request;
	return refuse();
}

PA_EXPORT int chdir(const char *path)
{
	(void)path;
	return refuse();
}

PA_EXPORT int dup2(int from, int to)
{
	(void)from;
	(void)to;
	return refuse();
}

PA_EXPORT int setuid(uid_t uid)
{
	(void)uid;
	return refuse();
}

PA_EXPORT int setgid(gid_t gid)
{
	(void)gid;
	return refuse();
}

PA_EXPORT int setgroups(size_t count, const gid_t *groups)
{
	(void)count;
	(void)groups;
	return refuse();
}

/* libdw would load a client of debug information servers in the network; civetweb TLS. */
PA_EXPORT void *dlopen(const char *path, int flags)
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

PA_EXPORT void exit(int status)
{
	(void)status;
	stop();
}

PA_EXPORT void _exit(int status)
{
	(void)status;
	stop();
}

PA_EXPORT void abort(void)
{
	stop();
}

PA_EXPORT void __assert_fail(const char *assertion, const char *file, unsigned line,
	const char *function)
{
	(void)assertion;
	(void)file;
	(void)line;
	(void)function;
	stop();
}

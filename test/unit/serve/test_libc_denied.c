/* SPDX-License-Identifier: Apache-2.0 */
/* The file under test defines names of libc: here they have other ones. */
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/atomic.h"
#include "agent/base/lock.h"
#include "agent/symbols/symbols.h"

#define fork shim_fork
#define vfork shim_vfork
#define popen shim_popen
#define pclose shim_pclose
#define system shim_system
#define execve shim_execve
#define execle shim_execle
#define posix_spawn shim_posix_spawn
#define waitpid shim_waitpid
#define kill shim_kill
#define ptrace shim_ptrace
#define chdir shim_chdir
#define dup2 shim_dup2
#define setuid shim_setuid
#define setgid shim_setgid
#define setgroups shim_setgroups
#define dlopen shim_dlopen
#define exit shim_exit
#define _exit shim_exit_now
#define abort shim_abort
#define __assert_fail shim_assert_fail

pid_t fork(void);
pid_t vfork(void);
FILE *popen(const char *command, const char *mode);
int pclose(FILE *stream);
int system(const char *command);
int execve(const char *path, char *const argv[], char *const envp[]);
int execle(const char *path, const char *arg, ...);
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attr, char *const argv[], char *const envp[]);
pid_t waitpid(pid_t pid, int *status, int options);
int kill(pid_t pid, int signal_number);
long ptrace(enum __ptrace_request request, ...);
int chdir(const char *path);
int dup2(int from, int to);
int setuid(uid_t uid);
int setgid(gid_t gid);
int setgroups(size_t count, const gid_t *groups);
void *dlopen(const char *path, int flags);
void exit(int status) __attribute__((noreturn));
void _exit(int status) __attribute__((noreturn));
void abort(void) __attribute__((noreturn));
void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
	__attribute__((noreturn));

#include "agent/serve/libc_denied.c"

/* The symbolizer takes its thread back here; any other one goes on to its end. */
static __thread bool rescued;
static PA_ATOMIC(uint32_t) bails;

void pa_symbols_bail(void)
{
	pa_add_acq_rel(&bails, 1);
	pa_futex_wake(&bails, 1);
	if (rescued)
		pthread_exit(NULL);
}

static void nothing_is_started(void **unused)
{
	char *const none[] = { NULL };
	pid_t pid;
	(void)unused;
	assert_int_equal(fork(), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(vfork(), -1);
	assert_null(popen("true", "r"));
	assert_int_equal(system("exit 3"), -1);
	assert_int_equal(execve("/bin/true", none, none), -1);
	assert_int_equal(execle("/bin/true", "true", NULL, none), -1);
	assert_int_equal(posix_spawn(&pid, "/bin/true", NULL, NULL, none, none), EPERM);
	assert_null(dlopen("libm.so.6", RTLD_NOW));
}

static void nothing_of_the_program_is_changed(void **unused)
{
	const gid_t group = 0;
	int status;
	(void)unused;
	assert_int_equal(waitpid(-1, &status, 0), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(kill(getpid(), SIGKILL), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ptrace(PTRACE_TRACEME, 0, NULL, NULL), -1);
	assert_int_equal(chdir("/"), -1);
	assert_int_equal(dup2(2, 1), -1);
	assert_int_equal(setuid(getuid()), -1);
	assert_int_equal(setgid(getgid()), -1);
	assert_int_equal(setgroups(1, &group), -1);
}

static void *run_to_the_end(void *how)
{
	switch (*(const int *)how) {
	case 0: exit(3);
	case 1: _exit(3);
	case 2: abort();
	default: __assert_fail("1 == 2", "x.c", 1, "f");
	}
}

static void the_program_outlives_its_end(void **unused)
{
	static const int hows[] = { 0, 1, 2, 3 };
	pthread_t thread;
	(void)unused;
	for (uint32_t i = 0; i < PA_COUNT(hows); i++) {
		int error = pthread_create(&thread, NULL, run_to_the_end, (void *)&hows[i]);
		assert_int_equal(error, 0);
		pthread_detach(thread);
		while (pa_load_acquire(&bails) == i)
			pa_futex_wait(&bails, i, -1);
	}
}

static void *be_rescued(void *unused)
{
	(void)unused;
	rescued = true;
	abort();
}

static void symbolizer_is_asked_before_the_end(void **unused)
{
	pthread_t thread;
	(void)unused;
	assert_int_equal(pthread_create(&thread, NULL, be_rescued, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_started),
		cmocka_unit_test(nothing_of_the_program_is_changed),
		cmocka_unit_test(the_program_outlives_its_end),
		cmocka_unit_test(symbolizer_is_asked_before_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a child in every form there is, twice: with one thread, and beside a thread that allocates.
 * Each child does what it may, and leaves with 7. Prints "FORM 7" for each.
 */
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sched.h>

extern char **environ;

static atomic_bool over;
static char stack[1 << 18] __attribute__((aligned(16)));

static void use_much(void)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	FILE *null = fopen("/dev/null", "w");
	for (int i = 1; i < 1000; i++) {
		void *volatile p = malloc((size_t)i);
		pthread_mutex_lock(&lock);
		p = realloc(p, (size_t)i * 3);
		pthread_mutex_unlock(&lock);
		free(p);
	}
	if (null)
		fclose(null);
}

static int leave_at_once(void *unused)
{
	(void)unused;
	_exit(7);
}

static int leave_by_exit(void *unused)
{
	(void)unused;
	use_much();
	exit(7);
}

static int code_of(pid_t pid)
{
	int status;
	if (pid < 0 || waitpid(pid, &status, __WALL) != pid)
		return 1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2000 + WTERMSIG(status);
}

static void say(const char *form, int code)
{
	printf("%s %d\n", form, code);
	fflush(stdout);
}

static pid_t by_clone3(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		leave_by_exit(NULL);
	return pid;
}

static pid_t by_forkpty(void)
{
	int terminal;
	pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
	if (pid == 0)
		leave_by_exit(NULL);
	return pid;
}

static pid_t by_vfork(char *const *argv)
{
	pid_t pid = vfork();
	if (pid == 0) {
		execve("/bin/sh", argv, environ);
		_exit(127);
	}
	return pid;
}

static pid_t by_spawn(char *const *argv)
{
	pid_t pid;
	return posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0 ? pid : -1;
}

static void all_forms(void)
{
	char *shell[] = { "sh", "-c", "exit 7", NULL };
	char *top = stack + sizeof(stack);
	pid_t pid = fork();
	if (pid == 0)
		leave_by_exit(NULL);
	say("fork", code_of(pid));
	pid = _Fork();
	if (pid == 0)
		_exit(7);
	say("_Fork", code_of(pid));
	say("vfork", code_of(by_vfork(shell)));
	say("clone3", code_of(by_clone3()));
	say("clone", code_of(clone(leave_at_once, top, SIGCHLD, NULL)));
	say("clone vm vfork",
		code_of(clone(leave_at_once, top, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL)));
	say("clone vm", code_of(clone(leave_at_once, top, CLONE_VM | SIGCHLD, NULL)));
	say("clone files fs",
		code_of(clone(leave_at_once, top, CLONE_FILES | CLONE_FS | SIGCHLD, NULL)));
	say("clone silent", code_of(clone(leave_at_once, top, 0, NULL)));
	say("posix_spawn", code_of(by_spawn(shell)));
	say("forkpty", code_of(by_forkpty()));
	say("system", WEXITSTATUS(system("exit 7")));
	FILE *pipe = popen("exit 7", "r");
	say("popen", pipe ? WEXITSTATUS(pclose(pipe)) : -1);
}

static void *allocate(void *arg)
{
	while (!over)
		free(malloc(5000));
	return arg;
}

int main(void)
{
	pthread_t thread;
	all_forms();
	pthread_create(&thread, NULL, allocate, NULL);
	all_forms();
	over = true;
	pthread_join(thread, NULL);
	return 0;
}

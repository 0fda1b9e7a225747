/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forks, in many ways; children allocate and exit with codes of their own.
 *
 *   v_fork tree           a tree of children three deep, with exit codes; prints their sum
 *   v_fork storm N        four threads allocate while N children are forked, each allocates
 *   v_fork threads N      four threads fork N children in all
 *   v_fork loader MS      forks for so long without a pause; the children open a library, look up
 *                         a symbol and make a thread
 *   v_fork raw            _Fork, vfork and clone without handlers; children allocate, exit 7
 *   v_fork nochild        wait() must say ECHILD at once: we have no child of our own
 *   v_fork serve          keeps 8 MiB (keep_before), forks; the child keeps 4 MiB more
 *                         (keep_child), prints "child PID", and both live until stdin ends
 *   v_fork line N         as serve, but prints "ready" and forks after a line of stdin; the child
 *                         is of the Nth generation, each forked first of all by the one before
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static atomic_bool stop;
static void *volatile keeper;

static void allocate_some(int n)
{
	for (int i = 0; i < n; i++) {
		void *volatile p = malloc((size_t)(i % 100) * 30 + 1);
		free(p);
	}
}

static int code_of(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2000 + WTERMSIG(status);
}

static int tree(int depth)
{
	int sum = depth;

	for (int i = 0; depth && i < 3; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			allocate_some(500);
			exit(tree(depth - 1) + i);
		}
		sum += code_of(pid);
	}
	return sum;
}

static void *allocator(void *arg)
{
	while (!stop)
		allocate_some(100);
	return arg;
}

static int storm(int count)
{
	pthread_t thread[4];
	int wrong = 0;

	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, allocator, NULL);
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			allocate_some(200);
			exit(i % 100);
		}
		wrong += code_of(pid) != i % 100;
	}
	stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	printf("storm %d wrong %d\n", count, wrong);
	return wrong != 0;
}

static int forks_each;
static atomic_int wrong_codes;

static void *forker(void *arg)
{
	for (int i = 0; i < forks_each; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			allocate_some(200);
			exit(i % 50);
		}
		wrong_codes += code_of(pid) != i % 50;
	}
	return arg;
}

static int threads(int count)
{
	pthread_t thread[4];

	forks_each = count / 4;
	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, forker, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	printf("threads %d wrong %d\n", count, (int)wrong_codes);
	return wrong_codes != 0;
}

static void *nothing(void *arg)
{
	return arg;
}

/* In a child: what takes the locks of the loader. An alarm ends one that hangs. */
static void use_loader(void)
{
	pthread_t thread;
	void *library;

	alarm(10);
	library = dlopen("libm.so.6", RTLD_NOW);
	if (!library || !dlsym(library, "cos"))
		_exit(1);
	dlclose(library);
	if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
		_exit(2);
	_exit(0);
}

static int loader(int run_ms)
{
	struct timespec now, end;
	int wrong = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += run_ms * 1000000L;
	do {
		pid_t pid = fork();
		if (pid == 0)
			use_loader();
		wrong += code_of(pid) != 0;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - end.tv_sec) * 1000000000L + now.tv_nsec - end.tv_nsec < 0);
	printf("loader wrong %d\n", wrong);
	return wrong != 0;
}

static int raw(void)
{
	pid_t pid = _Fork();

	if (pid == 0) {
		allocate_some(2000);
		exit(7);
	}
	printf("_Fork %d\n", code_of(pid));
	fflush(stdout);
	pid = vfork();
	if (pid == 0)
		_exit(7);
	printf("vfork %d\n", code_of(pid));
	fflush(stdout);
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		allocate_some(2000);
		exit(7);
	}
	printf("clone %d\n", code_of(pid));
	return 0;
}

static int nochild(void)
{
	int rc = wait(NULL);

	printf("wait %d %s\n", rc, rc < 0 && errno == ECHILD ? "ECHILD" : "?");
	return 0;
}

__attribute__((noinline)) static void keep_before(void)
{
	for (int i = 0; i < 8192; i++) {
		keeper = malloc(1024);
		memset(keeper, 1, 1024);
	}
}

__attribute__((noinline)) static void keep_child(void)
{
	for (int i = 0; i < 4096; i++) {
		keeper = malloc(1024);
		memset(keeper, 1, 1024);
	}
}

static pid_t fork_generations(int count)
{
	pid_t pid = fork();

	if (pid != 0 || count == 1)
		return pid;
	pid = fork_generations(count - 1);
	if (pid != 0)
		_exit(code_of(pid));
	return 0;
}

static int serve(int generations, bool after_line)
{
	char byte = 0;
	pid_t pid;

	keep_before();
	if (after_line) {
		puts("ready");
		fflush(stdout);
	}
	while (after_line && byte != '\n' && read(0, &byte, 1) > 0)
		;
	pid = fork_generations(generations);
	if (pid == 0) {
		keep_child();
		printf("child %d\n", (int)getpid());
		fflush(stdout);
		while (read(0, &byte, 1) > 0)
			;
		return 5;
	}
	return code_of(pid) != 5;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "tree";
	int n = argc > 2 ? atoi(argv[2]) : 100;

	if (!strcmp(mode, "storm"))
		return storm(n);
	if (!strcmp(mode, "threads"))
		return threads(n);
	if (!strcmp(mode, "loader"))
		return loader(n);
	if (!strcmp(mode, "raw"))
		return raw();
	if (!strcmp(mode, "nochild"))
		return nochild();
	if (!strcmp(mode, "serve"))
		return serve(1, false);
	if (!strcmp(mode, "line"))
		return serve(n, true);
	printf("tree %d\n", tree(3));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masks that come back by other ways than the call that set them: the return of a handler,
 * siglongjmp, setcontext, the calls of BSD and System V, a thread's attributes, fork, posix_spawn.
 * Prints what the program reads back after each.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static sigset_t full, none;

static void set(const sigset_t *mask)
{
	sigprocmask(SIG_SETMASK, mask, NULL);
}

static void print(const char *after)
{
	sigset_t now;
	char text[66] = "";
	sigemptyset(&now);
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	for (int i = 1; i <= 64; i++)
		text[i - 1] = sigismember(&now, i) == 1 ? '1' : '0';
	printf("%-32s %s\n", after, text);
	fflush(stdout);
}

static void on_signal(int number)
{
	(void)number;
	set(&full);
}

static void by_handler(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	print("a handler that blocked all");
}

static void by_longjmp(const sigset_t *saved, const sigset_t *then, const char *after)
{
	sigjmp_buf back;
	set(saved);
	if (sigsetjmp(back, 1) == 0) {
		set(then);
		siglongjmp(back, 1);
	}
	print(after);
}

static void by_context(const sigset_t *saved, const sigset_t *then, const char *after)
{
	ucontext_t back;
	volatile int turn = 0;
	set(saved);
	getcontext(&back);
	if (turn++ == 0) {
		set(then);
		setcontext(&back);
	}
	print(after);
}

static void by_old_calls(void)
{
	set(&full);
	sigsetmask(0);
	print("sigsetmask(0)");
	sigblock(~0);
	print("sigblock of all 32");
	set(&none);
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
		sighold(i);
	print("sighold of the real-time ones");
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
		sigrelse(i);
	print("sigrelse of them");
	set(&full);
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
		sigrelse(i);
	print("sigrelse after all were blocked");
	set(&none);
}

static void *in_thread(void *what)
{
	print(what);
	return NULL;
}

static void by_attribute(const sigset_t *ours, const sigset_t *its, char *what)
{
	pthread_attr_t attr;
	pthread_t thread;
	set(ours);
	pthread_attr_init(&attr);
	if (its)
		pthread_attr_setsigmask_np(&attr, its);
	pthread_create(&thread, &attr, in_thread, what);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
}

static void by_child(char *self)
{
	char *argv[] = { self, "child", NULL };
	extern char **environ;
	pid_t child;
	set(&full);
	child = fork();
	if (child == 0) {
		print("fork");
		_exit(0);
	}
	waitpid(child, NULL, 0);
	if (posix_spawn(&child, self, NULL, NULL, argv, environ) == 0)
		waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		print("a program of a program");
		return 0;
	}
	sigfillset(&full);
	sigemptyset(&none);
	print("start");
	by_handler();
	by_longjmp(&none, &full, "siglongjmp to none");
	by_longjmp(&full, &none, "siglongjmp to all");
	by_context(&none, &full, "setcontext to none");
	by_context(&full, &none, "setcontext to all");
	by_old_calls();
	by_attribute(&full, NULL, "a thread of one with all");
	by_attribute(&full, &none, "a thread with none");
	by_attribute(&none, &full, "a thread with all");
	by_attribute(&none, NULL, "a thread of one with none");
	by_child(argv[0]);
	print("end");
	return 0;
}

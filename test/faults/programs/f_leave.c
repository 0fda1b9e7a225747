/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says "ready", burns CPU in a thread, reads from stdin how to end, and does. Allocates and locks
 * on its way out: atexit handlers, a destructor, a thread's key.
 *
 *   return exit _exit _Exit quick abort term segv raise-kill thread main-thread exec handler race
 *   last syscall
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned long work;
static volatile int over;

static void use_much(void)
{
	for (int i = 1; i < 200; i++) {
		pthread_mutex_lock(&lock);
		free(malloc((size_t)i * 10));
		pthread_mutex_unlock(&lock);
	}
}

static void at_exit(void)
{
	use_much();
	puts("at exit");
}

static __attribute__((destructor)) void destroy(void)
{
	use_much();
}

static void *burn(void *arg)
{
	while (!over)
		work++;
	return arg;
}

static void *exit_3(void *arg)
{
	(void)arg;
	exit(3);
}

static void on_signal(int number)
{
	(void)number;
	exit(3);
}

static void in_thread(void *(*run)(void *), int count)
{
	pthread_t thread;
	while (count--)
		pthread_create(&thread, NULL, run, NULL);
}

static int leave(const char *how)
{
	if (!strcmp(how, "exit"))
		exit(3);
	if (!strcmp(how, "_exit"))
		_exit(3);
	if (!strcmp(how, "_Exit"))
		_Exit(3);
	if (!strcmp(how, "syscall"))
		syscall(SYS_exit_group, 3);
	if (!strcmp(how, "quick"))
		quick_exit(3);
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "term"))
		raise(SIGTERM);
	if (!strcmp(how, "segv"))
		*(volatile int *)8 = 1;
	if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "handler")) {
		signal(SIGUSR1, on_signal);
		raise(SIGUSR1);
	}
	if (!strcmp(how, "exec"))
		execl("/bin/sh", "sh", "-c", "exit 3", (char *)NULL);
	if (!strcmp(how, "thread")) {
		in_thread(exit_3, 1);
		pause();
	}
	if (!strcmp(how, "race")) {
		in_thread(exit_3, 4);
		pause();
	}
	if (!strcmp(how, "last")) { /* main goes first, the last thread ends the process */
		over = 1;
		pthread_exit(NULL);
	}
	return 3;
}

int main(void)
{
	char how[64];
	atexit(at_exit);
	at_quick_exit(at_exit);
	in_thread(burn, 1);
	puts("ready");
	fflush(stdout);
	if (!fgets(how, sizeof(how), stdin))
		return 1;
	how[strcspn(how, "\n")] = '\0';
	return leave(how);
}

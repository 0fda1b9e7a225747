/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signal masks and dispositions as a program sees them.
 *
 *   v_masks            prints SigBlk, SigIgn, SigCgt of /proc/self/status and the alternate stack
 *                      at main(), then sets masks in every way there is and prints what it
 *                      reads back
 *   v_masks wait       blocks all signals, prints "ready", takes SIGUSR1 with sigwait, sigwaitinfo,
 *                      sigtimedwait and a signalfd; prints each
 *   v_masks handler    prints what sigaction says of every real-time signal, installs a handler of
 *                      its own for each, reads it back, and raises each once
 *   v_masks burn       blocks all signals and burns CPU time until stdin ends (blocked_burn)
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void print_status(const char *when)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];

	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "SigBlk", 6) || !strncmp(line, "SigIgn", 6) ||
			!strncmp(line, "SigCgt", 6) || !strncmp(line, "ShdPnd", 6))
			printf("%s %s", when, line);
	fclose(f);
}

static void print_set(const char *what, const sigset_t *set)
{
	printf("%s ", what);
	for (int i = 1; i <= 64; i++)
		putchar(sigismember(set, i) == 1 ? '1' : '0');
	putchar('\n');
}

static void print_now(const char *what)
{
	sigset_t now;

	sigemptyset(&now);
	sigprocmask(SIG_BLOCK, NULL, &now);
	print_set(what, &now);
}

static void *thread_mask(void *arg)
{
	print_now("inherited by a thread");
	return arg;
}

static void set_and_read(void)
{
	sigset_t full, none, old;
	pthread_t thread;

	sigfillset(&full);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &full, &old);
	print_set("old of sigprocmask full", &old);
	print_now("after sigprocmask full");
	pthread_create(&thread, NULL, thread_mask, NULL);
	pthread_join(thread, NULL);
	sigprocmask(SIG_SETMASK, &none, &old);
	print_set("old of sigprocmask none", &old);
	print_now("after sigprocmask none");
	pthread_sigmask(SIG_BLOCK, &full, &old);
	print_set("old of pthread_sigmask full", &old);
	pthread_sigmask(SIG_UNBLOCK, &full, &old);
	print_set("old of pthread_sigmask unblock", &old);
	print_now("after pthread_sigmask unblock");
	sigemptyset(&none);
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
		sigaddset(&none, i);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	print_now("after all real-time ones");
	pthread_sigmask(SIG_UNBLOCK, &none, NULL);
	print_now("after unblocking them");
}

static int wait_for_signals(void)
{
	struct timespec limit = { .tv_sec = 20 };
	struct signalfd_siginfo got;
	siginfo_t info;
	sigset_t full, one;
	int number = 0, fd;

	sigfillset(&full);
	pthread_sigmask(SIG_SETMASK, &full, NULL);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	puts("ready");
	fflush(stdout);
	kill(getpid(), SIGUSR1);
	sigwait(&full, &number);
	printf("sigwait %d\n", number);
	kill(getpid(), SIGUSR1);
	printf("sigwaitinfo %d\n", sigwaitinfo(&full, &info));
	kill(getpid(), SIGUSR1);
	printf("sigtimedwait %d\n", sigtimedwait(&full, &info, &limit));
	fd = signalfd(-1, &full, SFD_CLOEXEC);
	kill(getpid(), SIGUSR1);
	if (read(fd, &got, sizeof(got)) == sizeof(got))
		printf("signalfd %u\n", got.ssi_signo);
	print_now("still blocked");
	return 0;
}

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	(void)number;
	caught++;
}

static int own_handlers(void)
{
	int own = 0, raised = 0;

	for (int i = SIGRTMIN; i <= SIGRTMAX; i++) {
		struct sigaction now, mine = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

		sigaction(i, NULL, &now);
		if (now.sa_handler != SIG_DFL)
			printf("signal %d was not default\n", i - SIGRTMIN);
		sigaction(i, &mine, NULL);
		sigaction(i, NULL, &now);
		own += now.sa_handler == on_signal;
		raise(i);
		raised++;
	}
	printf("own %d raised %d caught %d\n", own, raised, (int)caught);
	return 0;
}

static volatile unsigned long work;

__attribute__((noinline)) static void blocked_burn(void)
{
	for (;;)
		work++;
}

static void *burner(void *arg)
{
	sigset_t full;

	sigfillset(&full);
	pthread_sigmask(SIG_SETMASK, &full, NULL);
	blocked_burn();
	return arg;
}

static int burn(void)
{
	pthread_t thread;
	char byte;

	pthread_create(&thread, NULL, burner, NULL);
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	stack_t alternate;

	if (!strcmp(mode, "wait"))
		return wait_for_signals();
	if (!strcmp(mode, "handler"))
		return own_handlers();
	if (!strcmp(mode, "burn"))
		return burn();
	print_status("at main");
	sigaltstack(NULL, &alternate);
	printf("alternate stack flags %d size %zu\n", alternate.ss_flags, alternate.ss_size);
	set_and_read();
	print_status("at end");
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that burns CPU time with all signals blocked, one in each way that libc has for it:
 *
 *   f_masked attributes    the mask comes with the attributes, which say so when they are asked
 *   f_masked inherited     the process was started with them blocked (it starts itself once more)
 *   f_masked unblock       main unblocks each signal by itself first
 *   f_masked block         main blocks each signal by itself first
 *   f_masked default | ignore | handler   main sets that for each signal first
 *
 * Prints "ready", or "wrong" when a mask or a disposition is read back differently. For a line
 * "raise" it raises SIGRTMAX-3, with handlers only, and prints "raised" and how often it came. Ends
 * with its stdin.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile unsigned long work;
static volatile sig_atomic_t calls;

static void *burn_masked(void *arg)
{
	for (;;)
		work++;
	return arg;
}

static void count(int number)
{
	calls += number == SIGRTMAX - 3;
}

static int is_ours(int number)
{
	return number == SIGKILL || number == SIGSTOP || (number > SIGSYS && number < SIGRTMIN);
}

/* One by one, as supervisors do before they start what they supervise. */
static int go_through(const char *way)
{
	int good = 1;
	for (int i = 1; i <= SIGRTMAX; i++) {
		sigset_t one;
		struct sigaction now;
		sighandler_t handler = !strcmp(way, "ignore") ? SIG_IGN :
			!strcmp(way, "handler")               ? count :
								SIG_DFL;
		sigemptyset(&one);
		sigaddset(&one, i);
		if (!strcmp(way, "unblock"))
			sigprocmask(SIG_UNBLOCK, &one, NULL);
		else if (!strcmp(way, "block"))
			sigprocmask(SIG_BLOCK, &one, NULL);
		else if (!is_ours(i) &&
			(signal(i, handler) == SIG_ERR || sigaction(i, NULL, &now) != 0 ||
				now.sa_handler != handler))
			good = 0;
	}
	sigset_t now;
	sigprocmask(SIG_BLOCK, NULL, &now);
	for (int i = 1; i <= SIGRTMAX; i++)
		good &= is_ours(i) || sigismember(&now, i) == !strcmp(way, "block");
	return good;
}

static int set_attributes(pthread_attr_t *attr)
{
	sigset_t all, now;
	sigfillset(&all);
	pthread_attr_init(attr);
	pthread_attr_setsigmask_np(attr, &all);
	pthread_attr_getsigmask_np(attr, &now);
	return memcmp(&all, &now, sizeof(unsigned long)) == 0;
}

static int is_all_blocked(void)
{
	sigset_t now;
	sigprocmask(SIG_BLOCK, NULL, &now);
	for (int i = 1; i <= SIGRTMAX; i++)
		if (!is_ours(i) && sigismember(&now, i) != 1)
			return 0;
	return 1;
}

static void start_again(char **argv)
{
	/* By the system call, as by a parent without the agent. */
	unsigned long all = ~0ul;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
	char *again[] = { argv[0], "again", NULL };
	execv("/proc/self/exe", again);
	_exit(1);
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";
	pthread_t thread;
	pthread_attr_t attr, *with = NULL;
	char line[16];
	int good = 1;
	if (!strcmp(way, "attributes")) {
		good = set_attributes(&attr);
		with = &attr;
	} else if (!strcmp(way, "inherited")) {
		start_again(argv);
	} else if (!strcmp(way, "again")) {
		good = is_all_blocked();
	} else {
		good = go_through(way);
	}
	pthread_create(&thread, with, burn_masked, NULL);
	puts(good ? "ready" : "wrong");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		raise(SIGRTMAX - 3);
		printf("raised %d\n", (int)calls);
		fflush(stdout);
	}
	return 0;
}

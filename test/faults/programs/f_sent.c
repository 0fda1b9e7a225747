/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends SIGRTMAX-3 to itself while all signals are blocked, as a program does that uses all
 * real-time signals alike. f_sent WAY prints what became of the signals.
 *
 *   order      all real-time signals are queued, highest first, and waited for
 *   handlers   the same, with a handler for each
 *   waiter     ten are queued to the process, a second thread is in sigwaitinfo()
 *   direct     signals for a second thread, which is in poll(); the main thread finds none of them
 *   suspend    main is in sigsuspend() with an empty mask, a second thread sends
 *   fd         a signalfd for all signals
 *   calls      by system calls
 *   exec       pending over exec
 *   fork       a child has none of its parent's, and sends one to itself
 *   default    children that meet the default action, or ignore the signal
 *
 * With a second argument it says "ready" when the signals are blocked, and begins at a line.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NUMBER (SIGRTMAX - 3)

static sigset_t all;
static int ready[2], go[2];

static void block_all(void)
{
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
}

static void queue(int number, int what)
{
	const union sigval value = { .sival_int = what };
	if (sigqueue(getpid(), number, value) != 0)
		puts("not queued");
}

static void print(const char *who, int number, const siginfo_t *info)
{
	printf("%s: %d code %d value %d from us %d\n", who, number - SIGRTMIN, info->si_code,
		info->si_code == SI_QUEUE ? info->si_value.sival_int : 0, info->si_pid == getpid());
}

static int take(const char *who)
{
	siginfo_t info;
	int number = sigtimedwait(&all, &info, &(struct timespec){ 0, 0 });
	if (number > 0)
		print(who, number, &info);
	return number > 0;
}

static int is_pending(void)
{
	sigset_t set;
	sigpending(&set);
	return sigismember(&set, NUMBER);
}

static void order(void)
{
	for (int i = SIGRTMAX; i >= SIGRTMIN; i--)
		queue(i, i);
	printf("pending %d\n", is_pending());
	while (take("main"))
		continue;
	printf("pending %d\n", is_pending());
}

static void handle(int number, siginfo_t *info, void *context)
{
	(void)context;
	print("handler", number, info);
}

static void handlers(void)
{
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO };
	sigset_t none;
	sigfillset(&action.sa_mask);
	for (int i = SIGRTMAX; i >= SIGRTMIN; i--) {
		sigaction(i, &action, NULL);
		queue(i, i);
	}
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void *wait_for_ten(void *arg)
{
	siginfo_t info;
	for (int i = 0; i < 10; i++)
		print("thread", sigwaitinfo(&all, &info), &info);
	return arg;
}

static void waiter(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, wait_for_ten, NULL);
	for (int i = 0; i < 10; i++)
		queue(NUMBER, i);
	pthread_join(thread, NULL);
	printf("pending %d\n", is_pending());
}

static void *poll_then_take(void *arg)
{
	struct pollfd fd = { .fd = go[0], .events = POLLIN };
	if (write(ready[1], "", 1) != 1)
		return NULL;
	int result = poll(&fd, 1, -1);
	printf("poll %d\n", result);
	while (take("thread"))
		continue;
	return arg;
}

static void direct(void)
{
	char byte;
	pthread_t thread;
	const union sigval value = { .sival_int = 7 };
	pthread_create(&thread, NULL, poll_then_take, NULL);
	if (read(ready[0], &byte, 1) != 1)
		return;
	pthread_sigqueue(thread, NUMBER, value);
	pthread_kill(thread, NUMBER);
	queue(SIGRTMIN, 1);
	while (take("main"))
		continue;
	if (write(go[1], "", 1) == 1)
		pthread_join(thread, NULL);
}

static void *send_one(void *arg)
{
	char byte;
	if (read(ready[0], &byte, 1) == 1)
		kill(getpid(), NUMBER);
	return arg;
}

static void suspend(void)
{
	pthread_t thread;
	sigset_t mask = all;
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO };
	sigaction(NUMBER, &action, NULL);
	pthread_create(&thread, NULL, send_one, NULL);
	if (write(ready[1], "", 1) != 1)
		return;
	sigdelset(&mask, NUMBER);
	printf("suspended %d\n", sigsuspend(&mask));
	pthread_join(thread, NULL);
	printf("pending %d\n", is_pending());
}

static void fd(void)
{
	struct signalfd_siginfo info;
	int from = signalfd(-1, &all, 0);
	queue(NUMBER, 5);
	if (read(from, &info, sizeof(info)) == sizeof(info))
		printf("%d value %d\n", (int)info.ssi_signo - SIGRTMIN, info.ssi_int);
	printf("pending %d\n", is_pending());
}

static void calls(void)
{
	siginfo_t info = { .si_code = SI_QUEUE };
	info.si_pid = getpid();
	info.si_value.sival_int = 3;
	syscall(SYS_kill, getpid(), NUMBER);
	syscall(SYS_tkill, gettid(), NUMBER);
	syscall(SYS_tgkill, getpid(), gettid(), NUMBER);
	syscall(SYS_rt_sigqueueinfo, getpid(), NUMBER, &info);
	syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), NUMBER, &info);
	tgkill(getpid(), gettid(), NUMBER);
	raise(NUMBER);
	gsignal(NUMBER);
	while (take("main"))
		continue;
	setpgid(0, 0);
	killpg(0, NUMBER);
	kill(0, NUMBER);
	while (take("main"))
		continue;
}

static void exec(char **argv)
{
	queue(NUMBER, 9);
	char *again[] = { argv[0], "again", NULL };
	fflush(stdout);
	execv("/proc/self/exe", again);
}

static void again(void)
{
	printf("pending %d\n", is_pending());
	while (take("main"))
		continue;
	queue(NUMBER, 10);
	while (take("main"))
		continue;
}

static void in_child(void (*what)(void))
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		what();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("status %d\n", WIFSIGNALED(status) ? WTERMSIG(status) - SIGRTMIN : -1);
}

static void take_own(void)
{
	printf("pending %d\n", is_pending());
	queue(NUMBER, 2);
	while (take("child"))
		continue;
}

static void to_itself(void)
{
	in_child(take_own);
	queue(NUMBER, 1);
	in_child(take_own);
	while (take("main"))
		continue;
}

static void unblock(void)
{
	sigset_t none;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void raise_then_unblock(void)
{
	raise(NUMBER);
	puts("raised");
	fflush(stdout);
	unblock();
	puts("lived");
}

static void unblock_then_raise(void)
{
	unblock();
	raise(NUMBER);
	puts("lived");
}

static void by_default(void)
{
	in_child(raise_then_unblock);
	in_child(unblock_then_raise);
	signal(NUMBER, SIG_IGN);
	in_child(raise_then_unblock);
	in_child(unblock_then_raise);
	raise(NUMBER);
	signal(NUMBER, SIG_IGN);
	printf("pending %d\n", is_pending());
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} ways[] = { { "order", order }, { "handlers", handlers }, { "waiter", waiter },
		{ "direct", direct }, { "suspend", suspend }, { "fd", fd }, { "calls", calls },
		{ "again", again }, { "fork", to_itself }, { "default", by_default } };
	if (argc < 2 || pipe(ready) != 0 || pipe(go) != 0)
		return 2;
	if (strcmp(argv[1], "again") != 0)
		block_all();
	else
		sigfillset(&all);
	if (argc > 2) {
		puts("ready");
		fflush(stdout);
		getchar();
	}
	if (strcmp(argv[1], "exec") == 0)
		exec(argv);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(argv[1], ways[i].name) == 0)
			ways[i].run();
	return 0;
}

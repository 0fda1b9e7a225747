/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program of one thread may rely on around fork: its signal handlers may allocate, since
 * libc takes no lock in them, and its masks are its own.
 *
 *   f_forkheld parent N    a timer's handler allocates and forks, main forks N times and does not
 *                          allocate; also by daemon's and forkpty's way
 *   f_forkheld child N     N children are signalled at once; the handler allocates and leaves
 *   f_forkheld jump N      the same; the handler jumps out of whatever it came into
 *   f_forkheld mask        the mask of the kernel in children of each kind, and in the parent after
 *   f_forkheld atfork      what fork handlers do with signals: sent ones come at once, a mask stays
 */
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile unsigned runs;
static sigjmp_buf out;

static void churn(void)
{
	for (size_t bytes = 100; bytes < 100000; bytes *= 7) {
		char *volatile block = malloc(bytes);
		block[0] = 1;
		free(block);
	}
}

static int code_of(pid_t pid)
{
	int status = -1;
	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void on_timer(int number)
{
	(void)number;
	churn();
	if (++runs % 50 == 0) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(7);
		code_of(pid);
	}
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	sigaction(number, &action, NULL);
}

static int parent(int forks)
{
	struct itimerval every = { { 0, 300 }, { 0, 300 } };
	handle(SIGALRM, on_timer);
	setitimer(ITIMER_REAL, &every, NULL);
	for (int i = 0; i < forks; i++) {
		int master;
		pid_t pid = i % 10 ? fork() : forkpty(&master, NULL, NULL, NULL);
		if (pid == 0)
			_exit(7);
		if (code_of(pid) != 7)
			return 1;
		if (i % 10 == 0)
			close(master);
	}
	return 0;
}

static void on_term(int number)
{
	(void)number;
	churn();
	_exit(7);
}

static void on_term_jump(int number)
{
	(void)number;
	siglongjmp(out, 1);
}

static int child(int forks, int jumps)
{
	handle(SIGTERM, jumps ? on_term_jump : on_term);
	for (volatile int i = 0; i < forks; i++) {
		pid_t parent_pid = getpid();
		if (sigsetjmp(out, 1)) {
			churn(); /* only a child comes here: in the parent none is sent */
			_exit(getpid() == parent_pid ? 1 : 7);
		}
		pid_t pid = fork();
		if (pid == 0)
			for (;;)
				pause();
		kill(pid, SIGTERM);
		if (code_of(pid) != 7)
			return 1;
	}
	return 0;
}

/* Of the kernel, all 64. */
static unsigned long long mask(void)
{
	unsigned long long set = 0;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &set, 8);
	return set;
}

static unsigned long long wanted;

static int same_mask(void *unused)
{
	(void)unused;
	_exit(mask() == wanted ? 7 : 1);
}

static int masks(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	unsigned long long sets[] = { 0, 1ull << 9 | 7ull << 31 | 1ull << 40, 1 << 13 };
	for (unsigned i = 0; i < 3; i++) {
		int master, right = 0;
		pid_t pids[4];
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &sets[i], NULL, 8);
		wanted = mask();
		if ((pids[0] = fork()) == 0)
			same_mask(NULL);
		if ((pids[1] = _Fork()) == 0)
			same_mask(NULL);
		if ((pids[2] = forkpty(&master, NULL, NULL, NULL)) == 0)
			same_mask(NULL);
		pids[3] = clone(same_mask, stack + sizeof(stack), SIGCHLD, NULL);
		for (int kind = 0; kind < 4; kind++)
			right += code_of(pids[kind]) == 7;
		printf("mask %llx: %d children, parent %s\n", sets[i], right,
			mask() == wanted ? "as before" : "another");
		fflush(stdout);
	}
	return 0;
}

static volatile unsigned came[3];
static volatile unsigned phase;

static void on_usr1(int number)
{
	(void)number;
	churn();
	came[phase]++;
}

static void in_phase(unsigned which)
{
	unsigned before = came[which];
	phase = which;
	raise(SIGUSR1);
	if (came[which] != before + 1)
		_exit(9);
}

static void prepare(void)
{
	in_phase(0);
}

static void in_parent(void)
{
	sigset_t set;
	in_phase(1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void in_child(void)
{
	in_phase(2);
	in_parent();
}

static int atfork(void)
{
	handle(SIGUSR1, on_usr1);
	pthread_atfork(prepare, in_parent, in_child);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();
		int blocked = mask() == 1ull << (SIGUSR2 - 1);
		if (pid == 0)
			_exit(blocked ? 7 : 1);
		if (code_of(pid) != 7 || !blocked)
			return 1;
	}
	printf("prepare %u parent %u\n", came[0], came[1]);
	return 0;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "mask";
	int count = argc > 2 ? atoi(argv[2]) : 100, failed;
	if (!strcmp(how, "parent"))
		failed = parent(count);
	else if (!strcmp(how, "child") || !strcmp(how, "jump"))
		failed = child(count, how[0] == 'j');
	else
		failed = !strcmp(how, "mask") ? masks() : atfork();
	printf("%s\n", failed ? "failed" : "done");
	return failed;
}

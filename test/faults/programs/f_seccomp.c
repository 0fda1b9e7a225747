/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox by seccomp that allows what a worker needs and nothing else: read, write, exit,
 * exit_group, mmap, munmap, mprotect, brk, futex. Then it works: memory, a mutex that two of its
 * threads want, and a second of computing.
 *
 *   f_seccomp kill|errno|trap|strict [all|busy|prctl|alone]
 *
 * all: the filter is put on all threads (TSYNC); busy: on four more, that allocate and lock
 * meanwhile; prctl: by that call, on the calling thread; alone: on all, of which there is one.
 *
 * kill: any other call ends the process; errno: it gives EPERM; trap: it gives SIGSYS, and the
 * number of the call is printed. All
 * print "worked" at the end.
 *
 *   f_seccomp kill wait   prints "inside" in the sandbox, and works until stdin ends
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ALLOW(number)                                      \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static unsigned long shared;
static int is_strict, waits, input_ended, all, by_prctl;
static pthread_barrier_t begin, never;

static void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		syscall(SYS_exit, 3);
}

static void on_sys(int signal, siginfo_t *info, void *context)
{
	char text[] = "call 000\n";
	(void)signal;
	(void)context;
	for (int i = 7, n = info->si_syscall; i > 4; i--, n /= 10)
		text[i] = (char)('0' + n % 10);
	say(text);
}

static long put_on(struct sock_fprog *program)
{
	if (by_prctl)
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, all ? SECCOMP_FILTER_FLAG_TSYNC : 0,
		program);
}

static void enter_filter(unsigned action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_read),
		ALLOW(SYS_write),
		ALLOW(SYS_exit),
		ALLOW(SYS_exit_group),
		ALLOW(SYS_mmap),
		ALLOW(SYS_munmap),
		ALLOW(SYS_mprotect),
		ALLOW(SYS_brk),
		ALLOW(SYS_futex),
		/* What returns from a SIGSYS handler has to be there for it. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			action == SECCOMP_RET_TRAP ? SYS_rt_sigreturn : 0xffff, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, action),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (put_on(&program) != 0) {
		perror("seccomp");
		exit(2);
	}
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t); /* no system call: the vdso */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Memory of sizes that the allocator holds by now: of strict, it must not ask the kernel. */
static void work(double seconds)
{
	char *blocks[64] = { 0 };
	double end = is_strict ? 0 : now() + seconds;
	/* The kernel's own list takes the time stamp counter away as well. */
	for (int i = 0; is_strict ? i < 20000 : now() < end; i++)
		for (int k = 0; k < 64; k++) {
			free(blocks[k]);
			blocks[k] = malloc(16 + (size_t)k * 8);
			if (is_strict)
				continue;
			pthread_mutex_lock(&lock);
			shared++;
			pthread_mutex_unlock(&lock);
		}
	for (int i = 0; i < 64; i++)
		free(blocks[i]);
}

static void *reader(void *unused)
{
	char text[16];
	while (read(0, text, sizeof(text)) > 0)
		;
	__atomic_store_n(&input_ended, 1, __ATOMIC_RELEASE);
	return unused;
}

/* Another thread, outside of the sandbox, looks after stdin: a filter is the thread's own. */
static void work_until_input_ends(void)
{
	say("inside\n");
	while (!__atomic_load_n(&input_ended, __ATOMIC_ACQUIRE))
		work(0.1);
}

static void *second(void *unused)
{
	if (all)
		pthread_barrier_wait(&begin); /* libc begins a thread by denied calls, */
	pthread_barrier_wait(&barrier);
	if (!waits)
		work(1);
	pthread_barrier_wait(&barrier);
	if (all)
		pthread_barrier_wait(&never); /* and ends it by such */
	return unused;
}

static void *busy(void *unused)
{
	work(0.1);
	pthread_barrier_wait(&begin);
	work(1.5);
	pthread_barrier_wait(&never);
	return unused;
}

static void start_busy(int count)
{
	pthread_t thread;
	pthread_barrier_init(&begin, NULL, 2 + (unsigned)count);
	pthread_barrier_init(&never, NULL, 100);
	for (int i = 0; i < count; i++)
		pthread_create(&thread, NULL, busy, NULL);
}

static unsigned verdict(const char *how)
{
	return how[0] == 'k'  ? SECCOMP_RET_KILL_PROCESS :
		how[0] == 'e' ? SECCOMP_RET_ERRNO | EPERM :
				SECCOMP_RET_TRAP;
}

static void work_alone(const char *how)
{
	all = 1;
	enter_filter(verdict(how));
	work(1);
	say("worked\n");
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "kill", *where = argc > 2 ? argv[2] : "";
	int is_busy = strcmp(where, "busy") == 0;
	pthread_t thread;
	struct sigaction action = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
	all = is_busy || strcmp(where, "all") == 0;
	by_prctl = strcmp(where, "prctl") == 0;
	waits = strcmp(where, "wait") == 0;
	is_strict = strcmp(how, "strict") == 0;
	sigaction(SIGSYS, &action, NULL);
	work(0.3);
	pthread_barrier_init(&barrier, NULL, 2);
	if (is_strict) {
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
		work(1);
		say("worked\n");
		syscall(SYS_exit, 0);
	}
	if (strcmp(where, "alone") == 0)
		work_alone(how);
	start_busy(is_busy ? 4 : 0);
	pthread_create(&thread, NULL, second, NULL);
	if (waits)
		pthread_create(&thread, NULL, reader, NULL);
	if (all)
		pthread_barrier_wait(&begin);
	enter_filter(verdict(how));
	pthread_barrier_wait(&barrier);
	if (waits)
		work_until_input_ends();
	else
		work(1);
	pthread_barrier_wait(&barrier);
	say(shared ? "worked\n" : "idle\n");
	_exit(0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that react to a signal which a write or system call of other code raises.
 *
 *   f_raised pipe | size   prints a line when SIGPIPE or SIGXFSZ comes; ends with exit(3)
 *   f_raised cancelled     a thread that was cancelled ends the process by _exit(4)
 *   f_raised trap          prints "ready"; at the line "filter" puts a filter on all threads that
 *                          answers what opens files with SIGSYS, whose handler makes it EACCES;
 *                          for each line says whether it could open a file
 */
#include <errno.h>
#include <fcntl.h>
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
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t trapped, over;

static void say(int number)
{
	static const char text[] = "a signal came\n";
	(void)number;
	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
}

static int raised(void)
{
	signal(SIGPIPE, say);
	signal(SIGXFSZ, say);
	for (int i = 0; i < 1000; i++)
		free(malloc(10000));
	return 3;
}

static void *leave(void *arg)
{
	pthread_cancel(pthread_self());
	_exit(4);
	return arg;
}

static int cancelled(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, leave, NULL))
		return 1;
	pthread_join(thread, NULL);
	return 5;
}

static void refuse(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	trapped = 1;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = -EACCES;
}

static int put_filter_on(void)
{
#define TRAP(number)                                       \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		TRAP(SYS_openat),
		TRAP(SYS_newfstatat),
		TRAP(SYS_open),
		TRAP(SYS_prctl),
		TRAP(SYS_readlink),
		TRAP(SYS_process_vm_readv),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
		&program);
}

static void *work(void *arg)
{
	while (!over)
		free(malloc(100000));
	return arg;
}

static int trap(void)
{
	struct sigaction action = { .sa_sigaction = refuse, .sa_flags = SA_SIGINFO | SA_NODEFER };
	pthread_t thread;
	char line[16];
	sigaction(SIGSYS, &action, NULL);
	pthread_create(&thread, NULL, work, NULL);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "filter\n") && put_filter_on() != 0)
			return 77;
		int opened = open("/etc/passwd", O_RDONLY);
		printf("opened %s\n", opened < 0 && errno == EACCES ? "no" : "yes");
		fflush(stdout);
	}
	over = 1;
	pthread_join(thread, NULL);
	puts(trapped ? "lived" : "not trapped");
	return 0;
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";
	if (!strcmp(way, "cancelled"))
		return cancelled();
	if (!strcmp(way, "trap"))
		return trap();
	return raised();
}

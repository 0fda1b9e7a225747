/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An emulator by syscall user dispatch (prctl(2), PR_SET_SYSCALL_USER_DISPATCH): two threads run
 * code whose system calls a handler of SIGSYS answers, for three seconds, and allocate between its
 * pieces. A thread and a child of each begin without dispatch, and it is switched off at the end.
 *
 * Prints how many system calls the handler did not know; "none" where the kernel has no dispatch.
 */
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define SET_DISPATCH 59 /* PR_SET_SYSCALL_USER_DISPATCH */
#define DISPATCH_OFF 0
#define DISPATCH_ON 1
#define EMULATED_CALL 7777
#define EMULATED_RESULT 4242
#define SECONDS 3

static __thread volatile char dispatches;
static __thread long emulated, unknown;
static uintptr_t libc_lo, libc_hi; /* system calls from here are not dispatched */

static int find_libc(struct dl_phdr_info *object, size_t bytes, void *unused)
{
	(void)bytes;
	(void)unused;
	if (!strstr(object->dlpi_name, "/libc.so"))
		return 0;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];
		if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
			continue;
		libc_lo = object->dlpi_addr + part->p_vaddr;
		libc_hi = libc_lo + part->p_memsz;
	}
	return 1;
}

static __attribute__((noinline)) long call_kernel(long number)
{
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");
	return result;
}

static void emulate(int signal, siginfo_t *info, void *context)
{
	long long *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	char before = dispatches;
	(void)signal;
	dispatches = 0;
	if (info->si_syscall == EMULATED_CALL)
		emulated++;
	else
		unknown++;
	registers[REG_RAX] = EMULATED_RESULT;
	dispatches = before;
}

static void *run_alone(void *unused)
{
	for (int i = 0; i < 1000; i++)
		free(malloc((size_t)i));
	return unused;
}

static void make_thread_and_child(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, run_alone, NULL);
	pthread_join(thread, NULL);
	pid_t child = fork();
	if (child == 0) {
		run_alone(NULL);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static long run_emulated_code(void)
{
	long wrong = 0;
	dispatches = 1;
	for (int i = 0; i < 200; i++) {
		wrong += call_kernel(EMULATED_CALL) != EMULATED_RESULT;
		for (volatile int turn = 0; turn < 20000; turn++)
			;
	}
	dispatches = 0;
	return wrong;
}

static void *run(void *unused)
{
	struct timespec begin, now;
	long wrong = 0;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (prctl(SET_DISPATCH, DISPATCH_ON, libc_lo, libc_hi - libc_lo, &dispatches)) {
		puts("none");
		return unused;
	}
	make_thread_and_child();
	do {
		wrong += run_emulated_code();
		run_alone(NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < SECONDS);
	prctl(SET_DISPATCH, DISPATCH_OFF, 0, 0, 0);
	printf("%ld wrong, %ld unknown%s\n", wrong, unknown, emulated ? "" : ", none emulated");
	return unused;
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = emulate, .sa_flags = SA_SIGINFO | SA_NODEFER };
	pthread_t threads[2];
	dl_iterate_phdr(find_libc, NULL);
	sigaction(SIGSYS, &action, NULL);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, run, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

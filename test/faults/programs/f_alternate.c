/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alternate stacks on which there is little room.
 *
 *   f_alternate idle BYTES      has one of that size that no handler of its own ever uses, and
 *                               works for WORK_MS; then says whether it was written to, and what
 *                               lies below it
 *   f_alternate work BYTES      works in a handler on it, with deep frames
 *   f_alternate raw BYTES       as idle; the stack is set by the system call, and has so many bytes
 *                               beside what the kernel puts on it for a signal
 *   f_alternate threads BYTES   four threads, each with one of its own, work and fault in turns
 *
 * BYTES: 0 is the least that the kernel needs. Prints "ready", then "ok", or what was damaged.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WORK_MS 1500
#define BELOW 16384
#define PATTERN ((char)0xa5)

static volatile unsigned long work;
static size_t bytes;
static int is_raw;
static char *memory; /* BELOW bytes that must stay unwritten, and the stack */

static void work_for(long ms)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	long end = now.tv_sec * 1000 + now.tv_nsec / 1000000 + ms;
	do {
		for (int i = 0; i < 20000; i++)
			work++;
		free(malloc(100));
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	} while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < end);
}

static void spin_for(long ms)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	long end = now.tv_sec * 1000 + now.tv_nsec / 1000000 + ms;
	while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < end)
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
}

/* As a crash report does: some KiB of the stack, and time. */
static void on_signal(int number)
{
	volatile char report[2500];
	memset((char *)report, number, sizeof(report));
	spin_for(WORK_MS);
	work += (unsigned char)report[100];
}

static char *set_stack(void)
{
	char *at = mmap(NULL, BELOW + bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	memset(at, PATTERN, BELOW);
	stack_t stack = { .ss_sp = at + BELOW, .ss_size = bytes };
	if ((is_raw ? (int)syscall(SYS_sigaltstack, &stack, NULL) : sigaltstack(&stack, NULL)) != 0)
		exit(2);
	return at;
}

/* ---- the kernel's part ---- */

static size_t kernel_bytes;

static void on_measure(int number)
{
	(void)number;
	kernel_bytes = (size_t)(memory + BELOW + bytes - (char *)__builtin_frame_address(0));
}

/* What the kernel puts on an alternate stack for a signal, by a large one. */
static size_t measure_frame(void)
{
	struct sigaction action = { .sa_handler = on_measure, .sa_flags = SA_ONSTACK };
	const stack_t none = { .ss_flags = SS_DISABLE };
	bytes = 65536;
	memory = set_stack();
	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
	syscall(SYS_sigaltstack, &none, NULL);
	return kernel_bytes;
}

static int is_whole(const char *at)
{
	for (int i = 0; i < BELOW; i++)
		if (at[i] != PATTERN)
			return 0;
	return 1;
}

static __thread sigjmp_buf back;
static volatile int *volatile nowhere;

static void on_fault(int number)
{
	siglongjmp(back, number);
}

static void *fault_often(void *arg)
{
	char *at = set_stack();
	for (int i = 0; i < 300; i++) {
		if (!sigsetjmp(back, 1))
			*nowhere = 1;
		work_for(1);
	}
	return is_whole(at) ? arg : NULL;
}

static int in_threads(void)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK };
	pthread_t thread[4];
	int good = 1;
	sigaction(SIGSEGV, &action, NULL);
	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, fault_often, &good);
	for (int i = 0; i < 4; i++) {
		void *result;
		pthread_join(thread[i], &result);
		good &= result != NULL;
	}
	return good;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	if (argc < 3)
		return 2;
	bytes = strtoul(argv[2], NULL, 10);
	if (!bytes)
		bytes = getauxval(AT_MINSIGSTKSZ);
	if (!strcmp(argv[1], "raw")) {
		size_t beside = bytes;
		is_raw = 1;
		bytes = measure_frame() + beside;
	}
	puts("ready");
	fflush(stdout);
	if (!strcmp(argv[1], "threads")) {
		puts(in_threads() ? "ok" : "below the stack of a thread: damaged");
		return 0;
	}
	memory = set_stack();
	sigaction(SIGUSR1, &action, NULL);
	spin_for(0); /* the loader looks up functions at their first call, on a deep stack */
	if (!strcmp(argv[1], "work"))
		raise(SIGUSR1);
	else
		work_for(WORK_MS);
	puts(is_whole(memory) ? "ok" : "below the stack: damaged");
	return 0;
}

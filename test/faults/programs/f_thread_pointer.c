/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that run code with another thread pointer, as emulators do (Wine sets that of 32-bit
 * code): none, memory of zeros, of other bytes, with its own address as the ABI wants it, or
 * nothing mapped. Two threads each, for a second or two. Says if that memory has changed.
 */
#include <asm/prctl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BYTES ((size_t)64 << 10)
#define KINDS 5
#define THREADS 2

static const char *const kinds[KINDS] = { "none", "zeros", "bytes", "address", "unmapped" };

static long call_kernel(long number, long a, long b)
{
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b)
			 : "rcx", "r11", "memory");
	return result;
}

/* No function of libc works in between. */
__attribute__((noinline, optimize("no-stack-protector"))) static void run_guest(unsigned long base)
{
	unsigned long own;
	call_kernel(SYS_arch_prctl, ARCH_GET_FS, (long)&own);
	call_kernel(SYS_arch_prctl, ARCH_SET_FS, (long)base);
	for (volatile int turn = 0; turn < 1000000; turn++)
		;
	call_kernel(SYS_arch_prctl, ARCH_SET_FS, (long)own);
}

static void *run(void *arg)
{
	long kind = (long)arg;
	struct timespec begin, now;
	char *memory =
		mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *copy = malloc(BYTES);
	unsigned long base = kind == 0 ? 0 : kind == 4 ? 4096 : (unsigned long)memory + BYTES / 2;
	memset(memory, kind == 2 ? 0xee : 0, BYTES);
	if (kind == 3)
		*(unsigned long *)base = base;
	memcpy(copy, memory, BYTES);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		run_guest(base);
		free(malloc(100));
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < 2);
	if (memcmp(copy, memory, BYTES) != 0)
		puts("changed");
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	for (long kind = 0; kind < KINDS; kind++) {
		for (int i = 0; i < THREADS; i++)
			pthread_create(&threads[i], NULL, run, (void *)kind);
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		puts(kinds[kind]);
	}
	return 0;
}

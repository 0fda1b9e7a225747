/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calculates for SECONDS of CPU time with all that a signal's handler may change: rounding, traps
 * and exceptions noted, numbers on the x87 stack, both halves of the vectors, backward copies by
 * string instructions with the direction flag set. Prints "kept", or what was not.
 *
 *   f_ticks SECONDS
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BYTES 4096

static unsigned char from[BYTES], to[BYTES], pattern[8][32], seen[8][32];
static uint32_t mxcsr = 0xdf84 & ~0x200, mxcsr_seen; /* up, denormals, one noted, one trapped */
static uint16_t control = 0x77e, control_seen, status_seen;
static uint64_t flags_seen;
static double one, two;

/* Many copies, each of which a tick may come into the middle of. */
static void copy_backwards(void)
{
	const uint32_t usual = 0x1f80;
	__asm__ volatile("fninit\n\tfld1\n\tfldpi\n\tfldcw %[control]\n\tldmxcsr %[mxcsr]\n\t"
			 "vmovdqu 0(%[pattern]), %%ymm0\n\tvmovdqu 32(%[pattern]), %%ymm1\n\t"
			 "vmovdqu 64(%[pattern]), %%ymm2\n\tvmovdqu 96(%[pattern]), %%ymm3\n\t"
			 "vmovdqu 128(%[pattern]), %%ymm4\n\tvmovdqu 160(%[pattern]), %%ymm5\n\t"
			 "vmovdqu 192(%[pattern]), %%ymm6\n\tvmovdqu 224(%[pattern]), %%ymm7\n\t"
			 "mov $200, %%r8d\n\t"
			 "std\n"
			 "1:\tlea %c[last](%[from]), %%rsi\n\t"
			 "lea %c[last](%[to]), %%rdi\n\t"
			 "mov %[bytes], %%ecx\n\t"
			 "rep movsb\n\t"
			 "dec %%r8d\n\t"
			 "jnz 1b\n\t"
			 "sub $128, %%rsp\n\tpushfq\n\tpop %%r8\n\tadd $128, %%rsp\n\tcld\n\t"
			 "vmovdqu %%ymm0, 0(%[seen])\n\tvmovdqu %%ymm1, 32(%[seen])\n\t"
			 "vmovdqu %%ymm2, 64(%[seen])\n\tvmovdqu %%ymm3, 96(%[seen])\n\t"
			 "vmovdqu %%ymm4, 128(%[seen])\n\tvmovdqu %%ymm5, 160(%[seen])\n\t"
			 "vmovdqu %%ymm6, 192(%[seen])\n\tvmovdqu %%ymm7, 224(%[seen])\n\t"
			 "vzeroupper\n\t"
			 "mov %%r8, %[flags]\n\tstmxcsr %[mxcsr_seen]\n\tfnstcw %[control_seen]\n\t"
			 "fnstsw %[status_seen]\n\tldmxcsr %[usual]\n\tfninit"
			 : [flags] "=m"(flags_seen), [mxcsr_seen] "=m"(mxcsr_seen),
			 [control_seen] "=m"(control_seen), [status_seen] "=m"(status_seen)
			 : [control] "m"(control), [mxcsr] "m"(mxcsr), [usual] "m"(usual),
			 [pattern] "r"(pattern), [seen] "r"(seen), [from] "r"(from), [to] "r"(to),
			 [bytes] "i"(BYTES), [last] "i"(BYTES - 1)
			 : "rsi", "rdi", "rcx", "r8", "memory", "cc", "xmm0", "xmm1", "xmm2",
			 "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
}

/* The x87 stack, which the above empties. */
static void keep_numbers(long turns)
{
	__asm__ volatile("fninit\n\tfld1\n\tfld1\n\tfadd %%st(1), %%st\n"
			 "1:\tdec %0\n\tjnz 1b\n\t"
			 "fstpl %1\n\tfstpl %2"
			 : "+r"(turns), "=m"(two), "=m"(one));
}

static const char *what_changed(void)
{
	if (memcmp(seen, pattern, sizeof(seen)) != 0)
		return "vectors";
	if (memcmp(from, to, BYTES) != 0)
		return "copy";
	if (mxcsr_seen != mxcsr)
		return "mxcsr";
	if (control_seen != control || status_seen & 0x3f)
		return "x87 control";
	if ((status_seen >> 11 & 7) != 6)
		return "x87 stack";
	if (!(flags_seen & 1 << 10))
		return "direction flag";
	return one != 1 || two != 2 ? "numbers" : NULL;
}

int main(int argc, char **argv)
{
	clock_t end = clock() + (argc > 1 ? atoi(argv[1]) : 1) * CLOCKS_PER_SEC;
	if (!__builtin_cpu_supports("avx")) {
		puts("no avx");
		return 2;
	}
	for (int i = 0; i < BYTES; i++)
		from[i] = (unsigned char)(i * 7 + i / 256);
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i / 32][i % 32] = (unsigned char)(i * 5 + 1);
	while (clock() < end) {
		memset(to, 0, sizeof(to));
		memset(seen, 0, sizeof(seen));
		copy_backwards();
		keep_numbers(500000);
		const char *what = what_changed();
		if (what) {
			printf("changed: %s\n", what);
			return 1;
		}
	}
	puts("kept");
	return 0;
}

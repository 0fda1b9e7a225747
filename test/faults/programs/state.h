/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of any function in a state that compilers, assembly and settings of the program may
 * bring about, and what of that state is there afterwards.
 */
#ifndef STATE_H
#define STATE_H

#include <errno.h>
#include <fenv.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define DIRECTION (1 << 10)
#define ALIGNMENT (1 << 18)
#define ERRNO_BEFORE 77

struct state {
	const char *name;
	uintptr_t off;  /* bytes that the stack is off */
	uint64_t flags; /* to be set */
	uint32_t mxcsr;
	uint16_t control; /* of x87 */
	uint16_t status;  /* exceptions that x87 has noted */
	uint8_t full;     /* two numbers on the x87 stack */
};

/* 0x1f80, 0x37f: a process starts so. Bits 7 to 12 (0 to 5) mask exceptions, 13 and 14 (10 and 11)
 * round, 6 and 15 take denormals for 0; 0 to 5 have been noted. */
static const struct state states[] = {
	{ "plain", 0, 0, 0x1f80, 0x37f, 0, 0 },
	{ "off", 8, 0, 0x1f80, 0x37f, 0, 0 },
	{ "direction", 0, DIRECTION, 0x1f80, 0x37f, 0, 0 },
	{ "alignment", 0, ALIGNMENT, 0x1f80, 0x37f, 0, 0 },
	{ "trapping", 0, 0, 0x0000, 0x340, 0, 0 },
	{ "rounding", 0, 0, 0xffc0, 0xc7f, 0, 0 },
	{ "noted", 0, 0, 0x1f84, 0x37f, 4, 0 },
	{ "numbers", 0, 0, 0x1f80, 0x37f, 0, 1 },
	{ "all", 8, DIRECTION, 0xdf80, 0x77f, 0, 0 },
};

static const struct state *state = states;

struct call {
	uint64_t flags;    /* 0: in, and out */
	uintptr_t off;     /* 8 */
	void *function;    /* 16 */
	long arguments[7]; /* 24 */
};

long state_call(struct call *call);
__asm__(".text\n"
	"state_call:\n\t"
	"push %rbp\n\t"
	"push %rbx\n\t"
	"push %r12\n\t"
	"mov %rsp, %rbp\n\t"
	"mov %rdi, %rbx\n\t"
	"sub $16, %rsp\n\t"
	"and $-64, %rsp\n\t"
	"sub 8(%rbx), %rsp\n\t"
	"mov 24(%rbx), %rdi\n\t"
	"mov 32(%rbx), %rsi\n\t"
	"mov 40(%rbx), %rdx\n\t"
	"mov 48(%rbx), %rcx\n\t"
	"mov 56(%rbx), %r8\n\t"
	"mov 64(%rbx), %r9\n\t"
	"mov 72(%rbx), %rax\n\t"
	"mov %rax, (%rsp)\n\t"
	"pushfq\n\t"
	"mov (%rbx), %rax\n\t"
	"or %rax, (%rsp)\n\t"
	"popfq\n\t"
	"call *16(%rbx)\n\t"
	"pushfq\n\t"
	"popq (%rbx)\n\t"
	"pushfq\n\t"
	"andq $~0x40400, (%rsp)\n\t"
	"popfq\n\t"
	"mov %rbp, %rsp\n\t"
	"pop %r12\n\t"
	"pop %rbx\n\t"
	"pop %rbp\n\t"
	"ret");

static void enter_fpu(void)
{
	static const double one = 1, two = 2;
	__asm__ volatile("fninit" : : : "memory");
	if (state->full)
		__asm__ volatile("fldl %0\n\tfldl %1" : : "m"(one), "m"(two));
	if (state->status) {
		struct {
			uint32_t words[7];
		} environment;
		__asm__ volatile("fnstenv %0" : "=m"(environment));
		environment.words[1] |= state->status;
		__asm__ volatile("fldenv %0" : : "m"(environment));
	}
	__asm__ volatile("fldcw %0\n\tldmxcsr %1" : : "m"(state->control), "m"(state->mxcsr));
}

/* "" when all is as it was. */
static const char *leave_fpu(void)
{
	static const uint32_t usual = 0x1f80;
	static char text[80];
	uint32_t mxcsr;
	uint16_t control, status;
	double top = 2, below = 1;
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1\n\tfnstsw %2\n\tldmxcsr %3"
			 : "=m"(mxcsr), "=m"(control), "=m"(status)
			 : "m"(usual));
	if (state->full)
		__asm__ volatile("fstpl %0\n\tfstpl %1" : "=m"(top), "=m"(below));
	__asm__ volatile("fninit");
	status &= 0x3f;
	text[0] = '\0';
	if (mxcsr != state->mxcsr || control != state->control || status != state->status)
		sprintf(text, " mxcsr %x x87 %x %x", mxcsr, control, status);
	if (top != 2 || below != 1)
		strcat(text, " numbers gone");
	return text;
}

static char left[200]; /* what is not as it was, over all calls of a row; "" when all is */

static long call_in_state(void *function, long a, long b, long c, long d, long e, long f, long g)
{
	struct call call = { state->flags, state->off, function, { a, b, c, d, e, f, g } };
	errno = ERRNO_BEFORE;
	enter_fpu();
	long result = state_call(&call);
	const char *fpu = leave_fpu();
	int error = errno;
	uint64_t flags = call.flags & (DIRECTION | ALIGNMENT);
	size_t at = strlen(left);
	if (flags != state->flags)
		at += snprintf(left + at, sizeof(left) - at, " flags %lx", (long)flags);
	if (error != ERRNO_BEFORE && at < sizeof(left))
		at += snprintf(left + at, sizeof(left) - at, " errno %d", error);
	if (at < sizeof(left))
		snprintf(left + at, sizeof(left) - at, "%s", fpu);
	return result;
}

#define CALL_7(function, a, b, c, d, e, f, g, ...)                                               \
	call_in_state((void *)(function), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), \
		(long)(f), (long)(g))
/* CALL(function, arguments...): its result, as long. */
#define CALL(...) CALL_7(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0)

#endif

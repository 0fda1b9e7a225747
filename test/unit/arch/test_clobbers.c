/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every instruction is interrupted (the trap flag of x86-64), and the registers that it has changed
 * are compared with those that it may write. The code: parts of libc, and assembly.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/arch/x86_64/clobbers.h"

#define TRAP_FLAG 0x100
#define FREE_OF_PUSHES ((uint16_t)(0xffff & ~(1u << PA_INSN_SP)))

/* By the numbers in instructions. */
static const int greg_numbers[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI,
	REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

static struct {
	volatile bool stop;
	bool any;
	uint8_t code[PA_INSN_BYTES + 1];
	greg_t gregs[16];
	uint64_t steps, decoded, wrong;
} run;

static volatile uint64_t sink;

/* clang-format off */
__asm__(".text\n"
	"writes_parts:\n"
	"	push %rbx\n"
	"	mov $0x1234567890abcdef, %rax\n"
	"	mov $0x77, %cl\n"
	"	mov $0x33, %dh\n"
	"	xchg %ah, %al\n"
	"	add $0x11, %al\n"
	"	sub $0x123456, %eax\n"
	"	mov %rax, %r9\n"
	"	xchg %rax, %r9\n"
	"	bswap %r9\n"
	"	cmp %r9, %rax\n"
	"	seta %cl\n"
	"	setb %r10b\n"
	"	cmovb %rax, %r11\n"
	"	movabs $0x9876543210fedcba, %r8\n"
	"	mul %r8\n"
	"	imul $7, %r8, %rdx\n"
	"	xor %edx, %edx\n"
	"	mov $9, %ecx\n"
	"	div %rcx\n"
	"	cqo\n"
	"	cdqe\n"
	"	bsf %r8, %rcx\n"
	"	shl %cl, %r8\n"
	"	shld $3, %r8, %r9\n"
	"	bts $1, %r9\n"
	"	lea 8(%rsp,%rcx), %rsi\n"
	"	movzbl %al, %edi\n"
	"	movsbq %al, %r10\n"
	"	movslq %eax, %r11\n"
	"	cmpxchg %r8, %r9\n"
	"	xadd %r8, %r9\n"
	"	neg %r8\n"
	"	not %r9\n"
	"	inc %r8\n"
	"	decb %cl\n"
	"	movq %r8, %xmm0\n"
	"	movd %xmm0, %ecx\n"
	"	pextrw $1, %xmm0, %edx\n"
	"	pmovmskb %xmm0, %edi\n"
	"	cvtsi2sd %r8, %xmm1\n"
	"	cvttsd2si %xmm1, %r9\n"
	"	movmskpd %xmm1, %r8d\n"
	"	lahf\n"
	"	fldz\n"
	"	fnstsw %ax\n"
	"	fstp %st(0)\n"
	"	cpuid\n"
	"	rdtsc\n"
	"	mov $3, %ecx\n"
	"1:	loop 1b\n"
	"	lea -64(%rsp), %rdi\n"
	"	lea -64(%rsp), %rsi\n"
	"	mov $3, %ecx\n"
	"	rep stosb\n"
	"	mov $3, %ecx\n"
	"	rep movsb\n"
	"	lodsq\n"
	"	push %rcx\n"
	"	pop %r8\n"
	"	push %r8\n"
	"	pop %rcx\n"
	"	pop %rbx\n"
	"	ret\n"

	"keeps_rcx:\n"
	"	push %rbx\n"
	"	xor %eax, %eax\n"
	"	movd %xmm0, %edx\n"
	"	vpaddd %xmm1, %xmm1, %xmm1\n"
	"2:	dec %ebx\n"
	"	jnz 2b\n"
	"	test %edx, %edx\n"
	"	jz 3f\n"
	"	ret\n"
	"3:	jmp 4f\n"
	"	mov $1, %ecx\n"
	"4:	pop %rbx\n"
	"	ret\n"

	"writes_rcx:\n"
	"	test %edx, %edx\n"
	"	jz 5f\n"
	"	ret\n"
	"5:	mov $1, %cl\n"
	"	ret\n"

	"calls_another:\n"
	"	call writes_rcx\n"
	"	ret\n"

	"jumps_by_table:\n"
	"	jmp *%rax\n"
	"clobbers_end:\n");
/* clang-format on */

extern const uint8_t keeps_rcx[], writes_rcx[], calls_another[], jumps_by_table[], clobbers_end[];
void writes_parts(void);

static bool read_code(void *to, uintptr_t at, size_t bytes)
{
	if (at < (uintptr_t)keeps_rcx || at >= (uintptr_t)clobbers_end)
		return false;
	memcpy(to, (const void *)at, bytes);
	return true;
}

static bool is_code(uintptr_t at)
{
	return at >= (uintptr_t)keeps_rcx && at < (uintptr_t)clobbers_end;
}

static const struct pa_code_reader reader = { read_code, read_code, is_code };

/* ------------------------------------------------------------------ each instruction */

static void judge_step(const greg_t *gregs)
{
	struct pa_insn insn;
	uint16_t changed = 0;
	if (!pa_insn_decode(run.code, &insn))
		return;
	run.decoded++;
	for (int i = 0; i < 16; i++)
		if (gregs[greg_numbers[i]] != run.gregs[i])
			changed |= (uint16_t)(1u << i);
	changed &= FREE_OF_PUSHES & (uint16_t)~pa_clobbers_insn(&insn);
	if (!changed)
		return;
	run.wrong++;
	fprintf(stderr, "changes registers %x:", changed);
	for (unsigned i = 0; i < insn.length; i++)
		fprintf(stderr, " %02x", run.code[i]);
	fprintf(stderr, "\n");
}

static void note_step(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	greg_t *gregs = ((ucontext_t *)context)->uc_mcontext.gregs;
	if (run.any)
		judge_step(gregs);
	run.steps += run.any;
	run.any = !run.stop;
	if (run.stop) {
		gregs[REG_EFL] &= ~TRAP_FLAG;
		return;
	}
	memcpy(run.code, (const void *)gregs[REG_RIP], PA_INSN_BYTES);
	for (int i = 0; i < 16; i++)
		run.gregs[i] = gregs[greg_numbers[i]];
}

static int compare_numbers(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void use_libc(void)
{
	char text[400];
	int numbers[20];
	struct timespec now;
	for (unsigned i = 0; i < PA_COUNT(numbers); i++)
		numbers[i] = (int)(i * 7919 % 31);
	qsort(numbers, PA_COUNT(numbers), sizeof(numbers[0]), compare_numbers);
	sink += (uint64_t)snprintf(text, sizeof(text), "%d %s %f %lx %.20g", numbers[3], "text",
		3.7e9, (long)sink, 1.0 / 3);
	sink += (uint64_t)strtod(text, NULL) + strlen(text) + (uint64_t)strtol(text, NULL, 10);
	for (size_t bytes = 1; bytes < 300; bytes += 37) {
		void *block = malloc(bytes * 5);
		memset(block, 1, bytes);
		memmove(text, text + 3, bytes);
		sink += (uint64_t)memcmp(block, text, bytes) + (uint64_t) !!strchr(text, 'x');
		free(block);
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	sink += (uint64_t)clock() + (uint64_t)now.tv_nsec + (uint64_t)rand();
}

static void each_change_of_a_register_is_expected(void **unused)
{
	(void)unused;
	const struct sigaction action = { .sa_sigaction = note_step, .sa_flags = SA_SIGINFO };
	assert_int_equal(sigaction(SIGTRAP, &action, NULL), 0);
	use_libc(); /* resolves what is bound lazily */
	__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop" ::: "memory", "cc");
	use_libc();
	writes_parts();
	run.stop = true;
	__asm__ volatile("nop\n\tnop");
	assert_true(run.steps > 5000);
	assert_true(run.decoded * 100 > run.steps * 99);
	assert_int_equal(run.wrong, 0);
}

/* ------------------------------------------------------------------ functions */

static uint16_t callee(const uint8_t *start)
{
	return pa_clobbers_callee(&reader, (uintptr_t)start);
}

static void registers_that_a_function_leaves_alone_are_known(void **unused)
{
	(void)unused;
	const uint16_t ax = 1 << 0, cx = 1 << 1, dx = 1 << 2, bx = 1 << 3;
	assert_int_equal(callee(keeps_rcx), ax | dx | bx);
	assert_int_equal(callee(writes_rcx), cx);
	assert_int_equal(callee(calls_another), PA_CLOBBERS_ALL);
	assert_int_equal(callee(jumps_by_table), PA_CLOBBERS_ALL);
	assert_int_equal(callee(clobbers_end), PA_CLOBBERS_ALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_change_of_a_register_is_expected),
		cmocka_unit_test(registers_that_a_function_leaves_alone_are_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <fenv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/arch/arch.h"

/* The end of a function, with room in front of it. */
#define NUMBER(...) \
	number_in((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static long number_in(const uint8_t *code, size_t bytes)
{
	uint8_t room[PA_CALL_CODE_BYTES];
	memset(room, 0x90, sizeof(room));
	memcpy(room + sizeof(room) - bytes, code, bytes);
	return pa_arch_call_number(room + sizeof(room));
}

static void number_stands_in_front_of_the_instruction(void **unused)
{
	(void)unused;
	assert_int_equal(NUMBER(0xb8, 0x07, 0, 0, 0, 0x0f, 0x05), 7);
	assert_int_equal(NUMBER(0xb8, 0x0f, 0x01, 0, 0, 0x0f, 0x05), 271);
	assert_int_equal(NUMBER(0x31, 0xc0, 0x0f, 0x05), 0);
	assert_int_equal(NUMBER(0x33, 0xc0, 0x0f, 0x05), 0);
}

static void loads_of_arguments_may_stand_between(void **unused)
{
	(void)unused;
	/* epoll_pwait: mov 0x4(%rsp),%edi */
	assert_int_equal(NUMBER(0xb8, 0x19, 0x01, 0, 0, 0x8b, 0x7c, 0x24, 0x04, 0x0f, 0x05), 281);
	/* recvfrom: mov 0x10(%rsp),%rdx; mov 0x8(%rsp),%rsi */
	assert_int_equal(NUMBER(0xb8, 0x2d, 0, 0, 0, 0x48, 0x8b, 0x54, 0x24, 0x10, 0x48, 0x8b, 0x74,
				 0x24, 0x08, 0x0f, 0x05),
		45);
	/* the same into %r8 */
	assert_int_equal(NUMBER(0xb8, 0x2d, 0, 0, 0, 0x4c, 0x8b, 0x44, 0x24, 0x10, 0x0f, 0x05), 45);
}

static void other_code_has_no_number(void **unused)
{
	(void)unused;
	assert_int_equal(NUMBER(0xb8, 0x07, 0, 0, 0, 0x0f, 0x0b), -1); /* no system call */
	assert_int_equal(NUMBER(0x48, 0x89, 0xf8, 0x0f, 0x05), -1);    /* mov %rdi,%rax */
	assert_int_equal(NUMBER(0xb8, 0x07, 0, 0, 0, 0x89, 0xc7, 0x0f, 0x05), -1);
	assert_int_equal(NUMBER(0x0f, 0x05), -1);
}

static void only_an_interrupted_call_is_one(void **unused)
{
	(void)unused;
	ucontext_t context = { 0 };
	greg_t *gregs = context.uc_mcontext.gregs;
	struct pa_call call;
	uintptr_t end;
	gregs[REG_RIP] = 0x5000;
	gregs[REG_RDI] = 77;
	gregs[REG_RAX] = -4;
	assert_true(pa_arch_interrupted_call(&context, &call, &end));
	assert_int_equal(end, 0x5000);
	assert_int_equal(call.number, -1);
	assert_int_equal(call.arguments[0], 77);
	call.number = 7;
	pa_arch_call_again(&context, &call);
	assert_int_equal(gregs[REG_RAX], 7);
	assert_int_equal(gregs[REG_RIP], 0x4ffe);
	gregs[REG_RAX] = 1;
	assert_false(pa_arch_interrupted_call(&context, &call, &end));
}

static void system_call_is_passed_by_its_code(void **unused)
{
	(void)unused;
	struct pa_regs regs = { .gpr[PA_REG_PC] = 0x5000 };
	pa_arch_pass_syscall(&regs, (const uint8_t[]){ 0x0f, 0x0b });
	assert_int_equal(regs.gpr[PA_REG_PC], 0x5000);
	pa_arch_pass_syscall(&regs, (const uint8_t[]){ 0x0f, 0x05 });
	assert_int_equal(regs.gpr[PA_REG_PC], 0x5002);
}

static void call_leads_where_its_distance_says(void **unused)
{
	(void)unused;
	assert_int_equal(pa_arch_call_target((const uint8_t[]){ 0xe8, 0x10, 0, 0, 0 }, 0x5000),
		0x5010);
	assert_int_equal(pa_arch_call_target((const uint8_t[]){ 0xe8, 0xf0, 0xff, 0xff, 0xff },
				 0x5000),
		0x4ff0);
	assert_int_equal(pa_arch_call_target((const uint8_t[]){ 0xe9, 0x10, 0, 0, 0 }, 0x5000), 0);
}

static void pairs_change_together_or_not_at_all(void **unused)
{
	(void)unused;
	struct pa_pair pair = { 1, 2 }, seen = { 1, 3 };
	assert_false(pa_arch_cas_pair(&pair, &seen, (struct pa_pair){ 5, 6 }));
	assert_int_equal(seen.low, 1);
	assert_int_equal(seen.high, 2);
	assert_true(pa_arch_cas_pair(&pair, &seen, (struct pa_pair){ 5, 6 }));
	assert_int_equal(pair.low, 5);
	assert_int_equal(pair.high, 6);
	assert_int_equal(pa_arch_peek_pair(&pair).high, 6);
}

/* ---- the caller ---- */

/* What a slow half is: its stack is aligned in it, and it takes the cursor. */
static PA_SLOW void slow_half(struct pa_cursor *cursor, int *off)
{
	PA_CALM_FLAGS();
	char local[48] __attribute__((aligned(16)));
	__asm__ volatile("" : : "r"(local) : "memory");
	*cursor = PA_CURSOR_OF_CALLER();
	*off = (int)((uintptr_t)local & 15);
	__asm__ volatile("movaps %%xmm0, %0" : "=m"(local)); /* as libc does below us */
	if (pa_arch_flags() & PA_FLAGS_UNUSUAL)
		*off = -1;
}

struct seen {
	uintptr_t sp, pc; /* the caller's */
	uint64_t flags;   /* behind the call */
	struct pa_cursor cursor;
	int off;
};

/* Calls slow_half(a, b) with bytes less than an aligned stack, bp = 0x1234 and flags set. */
void test_call(uintptr_t bytes, uint64_t flags, void *slow_half, void *a, void *b,
	struct seen *seen);
__asm__(".text\n"
	"test_call:\n\t"
	"push %rbp\n\t"
	"push %rbx\n\t"
	"push %r12\n\t"
	"mov %rsp, %rbx\n\t"
	"mov %r9, %r12\n\t"
	"and $-64, %rsp\n\t"
	"sub %rdi, %rsp\n\t"
	"mov %rsp, (%r12)\n\t"
	"lea 1f(%rip), %rax\n\t"
	"mov %rax, 8(%r12)\n\t"
	"mov %rcx, %rdi\n\t"
	"mov $0x1234, %ebp\n\t"
	"pushfq\n\t"
	"or %rsi, (%rsp)\n\t"
	"popfq\n\t"
	"mov %r8, %rsi\n\t"
	"call *%rdx\n"
	"1:\tpushfq\n\t"
	"pop 16(%r12)\n\t"
	"pushfq\n\t"
	"andq $~0x40400, (%rsp)\n\t"
	"popfq\n\t"
	"mov %rbx, %rsp\n\t"
	"pop %r12\n\t"
	"pop %rbx\n\t"
	"pop %rbp\n\t"
	"ret");

static struct seen call_slow_half(uintptr_t bytes, uint64_t flags)
{
	struct seen seen;
	test_call(bytes, flags, (void *)slow_half, &seen.cursor, &seen.off, &seen);
	seen.flags &= PA_FLAGS_UNUSUAL;
	return seen;
}

static void cursor_is_the_callers_on_any_stack(void **unused)
{
	(void)unused;
	for (uintptr_t bytes = 0; bytes <= 32; bytes += 8) {
		struct seen seen = call_slow_half(bytes, 0);
		assert_true(seen.cursor.pc == seen.pc);
		assert_true(seen.cursor.sp == seen.sp);
		assert_int_equal(seen.cursor.bp, 0x1234);
		assert_int_equal(seen.off, 0);
	}
}

static void unusual_flags_are_clear_within_and_back_behind(void **unused)
{
	(void)unused;
	const uint64_t flags[] = {
		0,
		PA_FLAGS_DIRECTION,
#ifndef __SANITIZE_ADDRESS__ /* which notes each variable in front of the function's first line */
		PA_FLAGS_ALIGNMENT,
		PA_FLAGS_UNUSUAL,
#endif
	};
	for (size_t i = 0; i < PA_COUNT(flags); i++) {
		struct seen seen = call_slow_half(0, flags[i]);
		assert_int_equal(seen.off, 0);
		assert_int_equal(seen.flags, flags[i]);
	}
}

static void fpu_is_fresh_within_and_back_behind(void **unused)
{
	(void)unused;
	volatile double two = 2, three = 3, zero = 0;
	double kept;
	fesetround(FE_UPWARD);
	fedisableexcept(FE_ALL_EXCEPT);
	feclearexcept(FE_ALL_EXCEPT);
	feraiseexcept(FE_DIVBYZERO);
	feenableexcept(FE_INVALID);
	__asm__ volatile("fld1");
	{
		PA_FRESH_FPU();
		assert_int_equal(fegetround(), FE_TONEAREST);
		assert_int_equal(fegetexcept(), 0);
		assert_int_equal(fetestexcept(FE_ALL_EXCEPT), 0);
		two = two / three + zero / zero;
		__asm__ volatile("fldpi\n\tfldz\n\tfstp %st\n\tfstp %st");
	}
	__asm__ volatile("fstpl %0" : "=m"(kept));
	assert_int_equal(fegetround(), FE_UPWARD);
	assert_int_equal(fegetexcept(), FE_INVALID);
	assert_int_equal(fetestexcept(FE_ALL_EXCEPT), FE_DIVBYZERO);
	fesetenv(FE_DFL_ENV);
	assert_true(kept == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_stands_in_front_of_the_instruction),
		cmocka_unit_test(loads_of_arguments_may_stand_between),
		cmocka_unit_test(other_code_has_no_number),
		cmocka_unit_test(only_an_interrupted_call_is_one),
		cmocka_unit_test(system_call_is_passed_by_its_code),
		cmocka_unit_test(call_leads_where_its_distance_says),
		cmocka_unit_test(pairs_change_together_or_not_at_all),
		cmocka_unit_test(cursor_is_the_callers_on_any_stack),
		cmocka_unit_test(unusual_flags_are_clear_within_and_back_behind),
		cmocka_unit_test(fpu_is_fresh_within_and_back_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

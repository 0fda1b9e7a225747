/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupted code whose call frame information is unusual or wrong. */
#include "test/lib/c/unwind_stack.h"

#include <signal.h>

/* clang-format off */
__asm__(".text\n"
	"jumps_far:\n" /* as glibc's __longjmp: the caller's registers are in registers */
	".cfi_startproc\n"
	"	xor %eax, %eax\n"
	"	mov (%rsp), %rdx\n"
	"	lea 8(%rsp), %r8\n"
	"	mov %rbp, %r9\n"
	"	lea kept_registers(%rip), %rdi\n"
	".cfi_def_cfa %rdi, 0\n"
	".cfi_register %rsp, %r8\n"
	".cfi_register %rbp, %r9\n"
	".cfi_register %rip, %rdx\n"
	"	mov (%rax), %eax\n"
	"	mov %r8, %rsp\n"
	"	mov (%rax), %eax\n"
	"	jmp *%rdx\n"
	".cfi_endproc\n"

	"part_that_is_called:\n" /* as LuaJIT's: described as a part of its caller */
	".cfi_startproc\n"
	".cfi_def_cfa_offset 80\n"
	"	xor %eax, %eax\n"
	"	mov (%rax), %eax\n"
	"	ret\n"
	".cfi_endproc\n"

	"ends_nowhere:\n" /* wrong, and the code does not say better */
	".cfi_startproc\n"
	".cfi_def_cfa_offset 80\n"
	"	xor %eax, %eax\n"
	"	mov (%rsp), %rdx\n"
	"	mov (%rax), %eax\n"
	"	add $8, %rsp\n"
	"	jmp *%rdx\n"
	".cfi_endproc\n");
__asm__(".data\n"
	".p2align 3\n"
	"kept_registers:\n"
	"	.skip 64\n");
/* clang-format on */

void jumps_far(void);
void part_that_is_called(void);
void ends_nowhere(void);

enum { TRAPS = 4 };

static struct {
	int traps;
	struct pa_unwind_result results[TRAPS];
	uintptr_t pcs[TRAPS][PCS];
} seen;

static void handle_trap(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	ucontext_t *interrupted = context;
	struct pa_regs regs;
	pa_arch_from_context(&regs, interrupted);
	finish_from(&regs, NULL, 0, true);
	seen.results[seen.traps] = run.result;
	memcpy(seen.pcs[seen.traps++], run.pcs, sizeof(run.pcs));
	interrupted->uc_mcontext.gregs[REG_RIP] += 2; /* mov (%rax) */
}

/* The words above its frame are no return addresses. */
static NO_FRAME_POINTER void call_trapping(void (*function)(void))
{
	volatile uintptr_t words[32];
	for (unsigned i = 0; i < PA_COUNT(words); i++)
		words[i] = 0x1000;
	function();
	expect_from((uintptr_t)__builtin_return_address(0));
	NOT_A_TAIL_CALL();
}

static void trap_in(void (*function)(void))
{
	struct sigaction action = { .sa_sigaction = handle_trap, .sa_flags = SA_SIGINFO }, old;
	seen.traps = 0;
	sigaction(SIGSEGV, &action, &old);
	call_trapping(function);
	NOT_A_TAIL_CALL();
	sigaction(SIGSEGV, &old, NULL);
}

/* More than call_trapping has, also with the code of a sanitizer. */
#define CALLER_BYTES 2000

/* The interrupted function, call_trapping, and what libc says of its callers. */
static void assert_whole(int trap, void (*function)(void))
{
	const uintptr_t *pcs = seen.pcs[trap];
	assert_in_range(pcs[0], (uintptr_t)function, (uintptr_t)function + 40);
	assert_in_range(pcs[1], (uintptr_t)call_trapping, (uintptr_t)call_trapping + CALLER_BYTES);
	assert_same_stack(pcs, seen.results[trap], 2, 1);
}

static void caller_whose_registers_are_in_registers_is_found(void **arg)
{
	(void)arg;
	trap_in(jumps_far);
	assert_int_equal(seen.traps, 2);
	assert_whole(0, jumps_far);
	assert_whole(1, jumps_far);
}

static void code_is_believed_where_its_description_leads_nowhere(void **arg)
{
	(void)arg;
	fake.files_are_elf = true;
	trap_in(part_that_is_called);
	assert_whole(0, part_that_is_called);
	/* The next time by the cache alone. */
	trap_in(part_that_is_called);
	assert_whole(0, part_that_is_called);
	struct pa_rule rule = pa_frame_cache_find(run.frames, seen.pcs[0][0], true);
	assert_int_equal(rule.kind, PA_RULE_SP);
	assert_int_equal(rule.cfa_offset, 8);
	fake.files_are_elf = false;
}

static void wrong_description_alone_ends_the_stack(void **arg)
{
	(void)arg;
	fake.files_are_elf = true;
	trap_in(ends_nowhere);
	assert_in_range(seen.results[0].depth, 1, 2);
	assert_false(seen.results[0].complete);
	fake.files_are_elf = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(caller_whose_registers_are_in_registers_is_found, setup),
		cmocka_unit_test_setup(code_is_believed_where_its_description_leads_nowhere, setup),
		cmocka_unit_test_setup(wrong_description_alone_ends_the_stack, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

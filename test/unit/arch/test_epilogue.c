/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of code without unwind information, by functions that are assembled here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "agent/arch/epilogue.h"

/* clang-format off */
__asm__(".text\n"
	"plain:\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	sub $0x68, %rsp\n"
	"plain_body:\n"
	"	xor %eax, %eax\n"
	"1:	inc %eax\n"
	"	cmp $9, %eax\n"
	"	jne 1b\n"
	"	call plain\n"
	"plain_called:\n"
	"	add $0x68, %rsp\n"
	"	pop %r12\n"
	"plain_before_pop:\n"
	"	pop %rbx\n"
	"plain_at_ret:\n"
	"	ret\n"

	"bp_is_any_register:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	push %r12\n"
	"	lea (%rdi,%rsi), %rbp\n"
	"bp_is_any_register_body:\n"
	"	imul %rbp, %rax\n"
	"	pop %r12\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	rep ret\n"

	"framed:\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	and $-64, %rsp\n"
	"	sub $0x200, %rsp\n"
	"framed_body:\n"
	"	vpxor %ymm0, %ymm0, %ymm0\n"
	"	vmovdqa %ymm0, (%rsp)\n"
	"	leave\n"
	"	ret\n"

	"realigned:\n"
	"	mov %rsp, %rax\n"
	"	and $-32, %rsp\n"
	"	sub $0x100, %rsp\n"
	"	mov %rax, 0xe8(%rsp)\n"
	"realigned_body:\n"
	"	vzeroupper\n"
	"	mov 0xe8(%rsp), %rsp\n"
	"	ret\n"

	"sp_by_register:\n" /* as x264's */
	"	push %rbp\n"
	"	push %rbx\n"
	"	mov %rsp, %rsi\n"
	"	and $-64, %rsp\n"
	"	sub $0x200, %rsp\n"
	"sp_by_register_body:\n"
	"	movq $1, 8(%rsp)\n"
	"	xor %eax, %eax\n"
	"	mov %rsi, %rsp\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n"

	"sp_by_register_calls:\n" /* as x264's: it knows what its subroutine writes */
	"	call subroutine\n"
	"	call subroutine\n"
	"	mov %rcx, %rsp\n"
	"	ret\n"
	"subroutine:\n"
	"	xor %eax, %eax\n"
	"	ret\n"

	"sp_by_register_lost:\n"
	"	call subroutine\n"
	"	call subroutine_of_rcx\n"
	"	mov %rcx, %rsp\n"
	"	ret\n"
	"subroutine_of_rcx:\n"
	"	test %rax, %rax\n"
	"	jz 8f\n"
	"	push %rdx\n"
	"	pop %rcx\n"
	"8:	ret\n"

	"sp_by_pop:\n" /* as libjpeg-turbo's: the frame pointer is aligned */
	"	push %rbp\n"
	"	mov %rsp, %rax\n"
	"	sub $8, %rsp\n"
	"	and $-32, %rsp\n"
	"	mov %rax, (%rsp)\n"
	"	mov %rsp, %rbp\n"
	"	lea -0x80(%rsp), %rsp\n"
	"	push %rbx\n"
	"sp_by_pop_body:\n"
	"	vpxor %ymm0, %ymm0, %ymm0\n"
	"	pop %rbx\n"
	"	mov %rbp, %rsp\n"
	"	pop %rsp\n"
	"sp_by_pop_end:\n"
	"	pop %rbp\n"
	"	ret\n"

	"stores_sp_later:\n" /* the word that the end loads is not written yet */
	"	mov %rax, (%rsp)\n"
	"	mov 8(%rsp), %rbx\n"
	"	pop %rsp\n"
	"	ret\n"

	"stores_bp_later:\n"
	"	mov %rbp, 0x18(%rsp)\n"
	"	mov %rdi, %rbp\n"
	"	mov 0x18(%rsp), %rbp\n"
	"	add $0x28, %rsp\n"
	"	ret\n"

	"gcc_realigned_end:\n" /* its table says that bp is still to be restored */
	"	lea -8(%r10), %rsp\n"
	"gcc_realigned_ret:\n"
	"	ret\n"

	"pops_bp_end:\n"
	"	pop %rbp\n"
	"	ret\n"

	"frame_in_a_loop:\n" /* does not return */
	"	endbr64\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	push %rbx\n"
	"	sub $0x18, %rsp\n"
	"6:	call *%rax\n"
	"frame_in_a_loop_called:\n"
	"	test %eax, %eax\n"
	"	jne 7f\n"
	"	jmp 6b\n"
	"7:	call plain\n"
	"frame_in_a_loop_tail:\n"
	"	hlt\n"

	"by_lea:\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	sub $0x40, %rsp\n"
	"by_lea_body:\n"
	"	nop\n"
	"	lea -16(%rbp), %rsp\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n"

	"bp_by_move:\n"
	"	sub $0x28, %rsp\n"
	"	mov %rbp, 0x18(%rsp)\n"
	"	mov %rdi, %rbp\n"
	"bp_by_move_body:\n"
	"	add %rbp, %rax\n"
	"	mov 0x18(%rsp), %rbp\n"
	"	add $0x28, %rsp\n"
	"	ret\n"

	"many_returns:\n"
	"	push %rbx\n"
	"many_returns_body:\n"
	"	test %rdi, %rdi\n"
	"	je 2f\n"
	"	cmp $5, %rdi\n"
	"	ja 3f\n"
	"	pop %rbx\n"
	"	ret\n"
	"2:	ud2\n"
	"3:	jmp many_returns_tail\n"
	"many_returns_end:\n"
	"	.skip 64, 0x90\n"
	"many_returns_tail:\n"
	"	xor %eax, %eax\n"
	"	pop %rbx\n"
	"	ret\n"

	"disagree:\n"
	"	test %rdi, %rdi\n"
	"	je 4f\n"
	"	ret\n"
	"4:	pop %rax\n"
	"	ret\n"

	"never_returns:\n"
	"	push %rbx\n"
	"5:	nop\n"
	"	jmp 5b\n"

	"to_anywhere:\n"
	"	push %rbx\n"
	"	jmp *%rax\n"

	"loses_bp:\n"
	"	mov %rdi, %rbp\n"
	"	ret\n"

	"loses_bp_on_a_way:\n"
	"	test %rdi, %rdi\n"
	"	je 9f\n"
	"	mov %rdi, %rbp\n"
	"	pop %rax\n"
	"	ret\n"
	"9:	ret\n"

	"loses_sp:\n"
	"	xor %edi, %edi\n"
	"	mov %rdi, %rsp\n"
	"	ret\n"

	"pops_bp_and_sp:\n" /* from two stacks: bp is not below the return address */
	"	pop %rbp\n"
	"	pop %rsp\n"
	"	ret\n"

	"pops_arguments:\n"
	"	ret $16\n"

	"odd:\n"
	"	sub $4, %rsp\n"
	"	ret\n"
	"epilogue_end:\n");
/* clang-format on */

extern const uint8_t plain[], plain_body[], plain_called[], plain_before_pop[], plain_at_ret[],
	bp_is_any_register[], bp_is_any_register_body[], framed[], framed_body[], realigned_body[],
	sp_by_pop_body[], sp_by_pop_end[], stores_sp_later[], stores_bp_later[],
	gcc_realigned_end[], gcc_realigned_ret[], pops_bp_end[], frame_in_a_loop[],
	frame_in_a_loop_called[], frame_in_a_loop_tail[], by_lea[], by_lea_body[], bp_by_move[],
	bp_by_move_body[], many_returns_body[], disagree[], never_returns[], to_anywhere[],
	loses_bp[], loses_bp_on_a_way[], loses_sp[], sp_by_register[], sp_by_register_calls[],
	sp_by_register_lost[], subroutine[], subroutine_of_rcx[], sp_by_register_body[],
	pops_bp_and_sp[], pops_arguments[], odd[], epilogue_end[];

static const uint8_t *first = plain, *last = epilogue_end;

static bool read_code(void *to, uintptr_t at, size_t bytes)
{
	/* As of pages: what is behind the code can be read, too. */
	if (at < (uintptr_t)first || at >= (uintptr_t)last)
		return false;
	memset(to, 0xcc, bytes);
	size_t left = (uintptr_t)last - at;
	memcpy(to, (const void *)at, bytes < left ? bytes : left);
	return true;
}

static bool is_code(uintptr_t at)
{
	return at >= (uintptr_t)first && at < (uintptr_t)last;
}

static const struct pa_code_reader reader = { read_code, read_code, is_code };

static bool find(const uint8_t *pc, struct pa_epilogue *out)
{
	return pa_epilogue_find(&reader, (uintptr_t)pc, out);
}

struct row {
	const char *name;
	const uint8_t *pc;
	struct pa_epilogue expected;
};

static void assert_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct pa_epilogue *expected = &rows[i].expected;
		struct pa_epilogue out;
		if (!find(rows[i].pc, &out))
			fail_msg("%s: no rule", rows[i].name);
		if (out.base != expected->base || out.cfa_offset != expected->cfa_offset ||
			out.base_offset != expected->base_offset ||
			out.bp_offset != expected->bp_offset)
			fail_msg("%s: base %d %+d, cfa %+d, bp %+d", rows[i].name, (int)out.base,
				(int)out.base_offset, (int)out.cfa_offset, (int)out.bp_offset);
	}
}

#define ROW(pc, base, base_offset, cfa, bp)                                   \
	{                                                                     \
#pc, pc,                                                      \
		{                                                             \
			PA_EPILOGUE_##base, cfa, base_offset, bp, false, 0, 0 \
		}                                                             \
	}

static void frame_is_known_at_each_instruction(void **unused)
{
	(void)unused;
	const struct row rows[] = {
		ROW(plain, SP, 0, 8, 0),
		ROW(plain_body, SP, 0, 0x68 + 24, 0),
		ROW(plain_called, SP, 0, 0x68 + 24, 0),
		ROW(plain_before_pop, SP, 0, 16, 0),
		ROW(plain_at_ret, SP, 0, 8, 0),
	};
	assert_rows(rows, PA_COUNT(rows));
}

static void saved_bp_is_found(void **unused)
{
	(void)unused;
	const struct row rows[] = {
		ROW(bp_is_any_register, SP, 0, 8, 0),
		ROW(bp_is_any_register_body, SP, 0, 32, -24),
		ROW(bp_by_move_body, SP, 0, 0x30, -0x18),
		ROW(stores_bp_later, SP, 0, 0x30, 0),
	};
	assert_rows(rows, PA_COUNT(rows));
}

static void frame_pointers_are_used_where_the_code_does(void **unused)
{
	(void)unused;
	const struct row rows[] = {
		ROW(framed, SP, 0, 8, 0),
		ROW(framed_body, BP, 0, 16, -16),
		ROW(by_lea, SP, 0, 8, 0),
		ROW(by_lea_body, BP, 0, 16, -16),
		ROW(realigned_body, SP_DEREF, 0xe8, 8, 0),
		ROW(sp_by_pop_body, BP_DEREF, 0, 16, -16),
		ROW(sp_by_pop_end, SP, 0, 16, -16),
	};
	assert_rows(rows, PA_COUNT(rows));
}

static void stack_pointer_may_be_in_a_register(void **unused)
{
	(void)unused;
	struct pa_epilogue out;
	assert_true(find(sp_by_register_body, &out));
	assert_int_equal(out.base, PA_EPILOGUE_REG);
	assert_int_equal(out.reg, 4);
	assert_int_equal(out.cfa_offset, 24);
	assert_int_equal(out.bp_offset, -16);
	assert_false(find(sp_by_register, &out));
}

static void register_with_the_stack_pointer_may_outlive_calls(void **unused)
{
	(void)unused;
	struct pa_epilogue out;
	assert_true(find(sp_by_register_calls, &out));
	assert_int_equal(out.base, PA_EPILOGUE_REG);
	assert_int_equal(out.reg, 2);
	assert_int_equal(out.cfa_offset, 8);
	assert_false(find(sp_by_register_lost, &out));
}

static void frame_pointer_may_be_lost(void **unused)
{
	(void)unused;
	struct pa_epilogue out;
	assert_true(find(loses_bp, &out));
	assert_true(out.bp_lost);
	assert_int_equal(out.base, PA_EPILOGUE_SP);
	assert_int_equal(out.cfa_offset, 8);
	assert_true(find(pops_bp_and_sp, &out)); /* from two stacks */
	assert_true(out.bp_lost);
	/* A return that restores it counts alone. */
	assert_true(find(loses_bp_on_a_way, &out));
	assert_false(out.bp_lost);
	assert_int_equal(out.cfa_offset, 8);
}

static void registers_that_are_written_are_known(void **unused)
{
	(void)unused;
	const uint32_t dx = 1 << 1, cx = 1 << 2, r11 = 1 << 11, bx = 1 << 3;
	struct pa_epilogue out;
	assert_true(find(subroutine, &out));
	assert_int_equal(out.written, 1);
	assert_true(find(subroutine_of_rcx, &out)); /* on one of two ways */
	assert_int_equal(out.written, cx);
	assert_true(find(plain_called, &out));
	assert_false(out.written & (dx | cx));
	assert_true(out.written & bx);
	assert_true(find(plain_body, &out)); /* it calls */
	assert_int_equal(out.written & (dx | cx | r11), dx | cx | r11);
}

static void all_returns_are_looked_at(void **unused)
{
	(void)unused;
	const struct row rows[] = { ROW(many_returns_body, SP, 0, 16, 0) };
	assert_rows(rows, PA_COUNT(rows));
}

static void what_is_not_certain_has_no_rule(void **unused)
{
	(void)unused;
	const struct row rows[] = {
		{ .name = "returns that disagree", .pc = disagree },
		{ .name = "no return", .pc = never_returns },
		{ .name = "an indirect jump", .pc = to_anywhere },
		{ .name = "sp is lost", .pc = loses_sp },
		{ .name = "arguments are popped", .pc = pops_arguments },
		{ .name = "sp is not aligned", .pc = odd },
		{ .name = "sp from a word that is written later", .pc = stores_sp_later },
		{ .name = "no code", .pc = epilogue_end },
	};
	for (size_t i = 0; i < PA_COUNT(rows); i++) {
		struct pa_epilogue out;
		if (find(rows[i].pc, &out))
			fail_msg("%s: has a rule", rows[i].name);
	}
}

static void tail_that_keeps_bp_is_known(void **unused)
{
	(void)unused;
	assert_true(pa_epilogue_keeps_bp(&reader, (uintptr_t)gcc_realigned_end));
	assert_true(pa_epilogue_keeps_bp(&reader, (uintptr_t)gcc_realigned_ret));
	assert_false(pa_epilogue_keeps_bp(&reader, (uintptr_t)pops_bp_end));
	assert_false(pa_epilogue_keeps_bp(&reader, (uintptr_t)framed_body));
	assert_false(pa_epilogue_keeps_bp(&reader, (uintptr_t)loses_bp));
	assert_false(pa_epilogue_keeps_bp(&reader, (uintptr_t)many_returns_body));
	assert_false(pa_epilogue_keeps_bp(&reader, (uintptr_t)epilogue_end));
}

static void frame_pointer_is_followed_from_the_start(void **unused)
{
	(void)unused;
	uintptr_t start = (uintptr_t)frame_in_a_loop;
	assert_true(pa_epilogue_frame_is_set(&reader, start, (uintptr_t)frame_in_a_loop_called));
	assert_true(pa_epilogue_frame_is_set(&reader, start, (uintptr_t)frame_in_a_loop_tail));
	/* Not set yet, or never, or in code that it does not lead to. */
	assert_false(pa_epilogue_frame_is_set(&reader, start, start));
	assert_false(pa_epilogue_frame_is_set(&reader, start, start + 5));
	assert_false(pa_epilogue_frame_is_set(&reader, (uintptr_t)plain, (uintptr_t)plain_called));
	assert_false(pa_epilogue_frame_is_set(&reader, start, (uintptr_t)plain_called));
}

/* Each offset of each function is a beginning, too: rules are within what a cache holds. */
static void any_bytes_are_code(void **unused)
{
	(void)unused;
	enum { BYTES = 4096, ROUNDS = 300 };
	static uint8_t bytes[BYTES];
	first = bytes;
	last = bytes + BYTES;
	srand(1);
	for (int round = 0; round < ROUNDS; round++) {
		struct pa_epilogue out;
		for (int i = 0; i < BYTES; i++)
			bytes[i] = rand() % 4 ? (uint8_t)rand() : plain[rand() % 64];
		if (!find(bytes + rand() % BYTES, &out))
			continue;
		assert_in_range(out.cfa_offset + (1 << 23), 0, 1 << 24);
		assert_int_equal(out.cfa_offset % 8, 0);
		assert_true(out.bp_offset <= 0);
	}
	first = plain;
	last = epilogue_end;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_is_known_at_each_instruction),
		cmocka_unit_test(saved_bp_is_found),
		cmocka_unit_test(frame_pointers_are_used_where_the_code_does),
		cmocka_unit_test(stack_pointer_may_be_in_a_register),
		cmocka_unit_test(register_with_the_stack_pointer_may_outlive_calls),
		cmocka_unit_test(frame_pointer_may_be_lost),
		cmocka_unit_test(registers_that_are_written_are_known),
		cmocka_unit_test(all_returns_are_looked_at),
		cmocka_unit_test(what_is_not_certain_has_no_rule),
		cmocka_unit_test(tail_that_keeps_bp_is_known),
		cmocka_unit_test(frame_pointer_is_followed_from_the_start),
		cmocka_unit_test(any_bytes_are_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

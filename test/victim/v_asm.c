/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions in assembler that have no unwind information, each called by a function of its own:
 * with pushed registers, with the frame pointer as an ordinary register, with a stack that is
 * aligned anew, with the old one in memory or in a register, and one that jumps to another at its
 * end.
 *
 *   v_asm      prints "ready", runs them in turns until stdin ends
 */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <pthread.h>

#define LOOP(label)                                       \
	"	mov $200000, %ecx\n" label ":	dec %ecx\n" \
	"	jnz " label "b\n"

/* clang-format off */
__asm__(".text\n"
	".globl asm_pushes, asm_uses_bp, asm_aligns, asm_keeps_sp, asm_jumps\n"
	".type asm_pushes, @function\n"
	".type asm_uses_bp, @function\n"
	".type asm_aligns, @function\n"
	".type asm_keeps_sp, @function\n"
	".type asm_jumps, @function\n"
	"asm_pushes:\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	sub $0x48, %rsp\n"
	LOOP("1")
	"	add $0x48, %rsp\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	ret\n"
	".size asm_pushes, . - asm_pushes\n"
	"asm_uses_bp:\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	mov $77, %ebp\n"
	LOOP("2")
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n"
	".size asm_uses_bp, . - asm_uses_bp\n"
	"asm_aligns:\n"
	"	mov %rsp, %rax\n"
	"	and $-64, %rsp\n"
	"	sub $0x100, %rsp\n"
	"	mov %rax, 0xf0(%rsp)\n"
	LOOP("3")
	"	mov 0xf0(%rsp), %rsp\n"
	"	ret\n"
	".size asm_aligns, . - asm_aligns\n"
	"asm_keeps_sp:\n"
	"	push %rbx\n"
	"	mov %rsp, %rdx\n"
	"	and $-64, %rsp\n"
	"	sub $0x100, %rsp\n"
	LOOP("5")
	"	mov %rdx, %rsp\n"
	"	pop %rbx\n"
	"	ret\n"
	".size asm_keeps_sp, . - asm_keeps_sp\n"
	"asm_jumps:\n"
	"	push %rbx\n"
	LOOP("4")
	"	pop %rbx\n"
	"	jmp asm_pushes\n"
	".size asm_jumps, . - asm_jumps\n");
/* clang-format on */

void asm_pushes(void);
void asm_uses_bp(void);
void asm_aligns(void);
void asm_keeps_sp(void);
void asm_jumps(void);

#define CALLER(name)                                                  \
	static __attribute__((noinline)) void call_asm_##name(void)   \
	{                                                             \
		asm_##name();                                         \
		__asm__ volatile("" ::: "memory"); /* no tail call */ \
	}

CALLER(pushes)
CALLER(uses_bp)
CALLER(aligns)
CALLER(keeps_sp)
CALLER(jumps)

static void *run(void *arg)
{
	for (;;) {
		call_asm_pushes();
		call_asm_uses_bp();
		call_asm_aligns();
		call_asm_keeps_sp();
		call_asm_jumps();
	}
	return arg;
}

int main(void)
{
	pthread_t thread;
	char end;
	pthread_create(&thread, NULL, run, NULL);
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
	return 0;
}

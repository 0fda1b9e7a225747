/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64: constants, types and macros of arch.h. Registers have DWARF numbers: rax rdx rcx rbx rsi
 * rdi rbp rsp r8..r15, rip.
 */
#ifndef PA_ARCH_X86_64_MACHINE_H
#define PA_ARCH_X86_64_MACHINE_H

#include <linux/audit.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "../../base/base.h"

enum { PA_REG_BP = 6, PA_REG_SP = 7, PA_REG_PC = 16, PA_REGS_COUNT = 17 };

#define PA_RED_ZONE_BYTES 128

#define PA_PAGE_SHIFT 12
#define PA_ADDRESS_LIMIT ((uintptr_t)1 << 47)

#define PA_ARCH_AUDIT AUDIT_ARCH_X86_64
#define PA_ARCH_TRAP() __asm__ volatile("int3")
#define PA_ARCH_PAUSE() __builtin_ia32_pause()

#define PA_ENTRY __attribute__((force_align_arg_pointer))

/* The header of libunwind's remote interface. */
#define PA_ARCH_LIBUNWIND_H <libunwind-x86_64.h>

/* glibc also has an older version of these functions, with another layout of pthread_cond_t. */
#define PA_ARCH_COND_VERSION "GLIBC_2.3.2"

struct pa_fpu {
	uint8_t saved[512];
} __attribute__((aligned(16)));

/* Words of the ucontext in a signal frame, fixed by the kernel's ABI. */
enum {
	PA_SIGFRAME_BP = offsetof(ucontext_t, uc_mcontext.gregs) + REG_RBP * 8,
	PA_SIGFRAME_SP = offsetof(ucontext_t, uc_mcontext.gregs) + REG_RSP * 8,
	PA_SIGFRAME_PC = offsetof(ucontext_t, uc_mcontext.gregs) + REG_RIP * 8,
	PA_SIGFRAME_MARK = offsetof(ucontext_t, uc_mcontext.gregs) + REG_CSGSFS * 8,
	PA_SIGFRAME_FIRST = offsetof(ucontext_t, uc_mcontext.gregs) + REG_RDI * 8,
	PA_SIGFRAME_THIRD = offsetof(ucontext_t, uc_mcontext.gregs) + REG_RDX * 8,
};

/* Size of the instruction, and how far before its end to search for the number of the call. */
#define PA_SYSCALL_BYTES 2
#define PA_CALL_CODE_BYTES 40
/* A direct call of a function. */
#define PA_CALL_BYTES 5

/* A PLT stub has 16 bytes; those of .plt.got may have 8. */
#define PA_PLT_BYTES 16
#define PA_PLT_ALIGN 8

/* System calls that newer machines do not have. */
enum {
	PA_SYS_POLL = SYS_poll,
	PA_SYS_SELECT = SYS_select,
	PA_SYS_EPOLL_WAIT = SYS_epoll_wait,
	PA_SYS_PAUSE = SYS_pause,
	PA_SYS_FORK = SYS_fork,
};

#define PA_ARCH_OLD_CALLS(CALL) \
	CALL(open) CALL(poll) CALL(select) CALL(epoll_wait) CALL(pause) CALL(vfork)

#define PA_CURSOR_OF_CALLER()                                       \
	((struct pa_cursor){                                        \
		.pc = ((uintptr_t *)__builtin_dwarf_cfa())[-1],     \
		.sp = (uintptr_t)__builtin_dwarf_cfa(),             \
		.bp = ((uintptr_t *)__builtin_frame_address(0))[0], \
	})

extern uintptr_t pa_arch_other_stack PA_HIDDEN;
extern void pa_arch_hop(void) PA_HIDDEN;
/* volatile: gcc 14 leaves out a store to the function's own frame that nothing reads. */
#define PA_RETURN_ON_STACK(top)                                                             \
	do {                                                                                \
		pa_arch_other_stack = (top);                                                \
		((volatile uintptr_t *)__builtin_dwarf_cfa())[-1] = (uintptr_t)pa_arch_hop; \
	} while (0)
/* Definitions for PA_RETURN_ON_STACK, in the one file that uses it. */
#define PA_DEFINE_HOP()                                                                   \
	uintptr_t pa_arch_other_stack;                                                    \
	__asm__(".pushsection .text.unlikely\n"                                           \
		".hidden pa_arch_hop\n.globl pa_arch_hop\n.type pa_arch_hop, @function\n" \
		"pa_arch_hop:\n\tmov pa_arch_other_stack(%rip), %rsp\n\tret\n"            \
		".size pa_arch_hop, .-pa_arch_hop\n.popsection")

#define PA_GATE_CHOOSES(name) pa_gate_##name
/* clang-format off */
#define PA_DEFINE_GATE(name, table, pass, choose)                                 \
	extern void PA_GATE_CHOOSES(name)(void) PA_HIDDEN;                        \
	__asm__(".pushsection .text\n"                                            \
		".globl " #name "\n.type " #name ", @function\n.p2align 4\n"      \
		#name ":\n\t.cfi_startproc\n"                                     \
		"\tcmp $512, %rdi\n\tjae 1f\n"                                   \
		"\tlea " #table "(%rip), %rax\n"                                 \
		"\tcmpb $0, (%rax,%rdi)\n\tjne pa_gate_" #name "\n"              \
		"1:\tjmp *" #pass "(%rip)\n"                                     \
		".hidden pa_gate_" #name "\n.globl pa_gate_" #name "\n"           \
		"pa_gate_" #name ":\n"                                           \
		"\tpush %rbp\n\t.cfi_def_cfa_offset 16\n\t.cfi_offset %rbp, -16\n" \
		"\tmov %rsp, %rbp\n\t.cfi_def_cfa_register %rbp\n"               \
		"\tsub $48, %rsp\n\tand $-16, %rsp\n"                            \
		"\tmov %rdi, (%rsp)\n\tmov %rsi, 8(%rsp)\n\tmov %rdx, 16(%rsp)\n" \
		"\tmov %rcx, 24(%rsp)\n\tmov %r8, 32(%rsp)\n\tmov %r9, 40(%rsp)\n" \
		"\tcall " #choose "\n"                                           \
		"\tmov (%rsp), %rdi\n\tmov 8(%rsp), %rsi\n\tmov 16(%rsp), %rdx\n" \
		"\tmov 24(%rsp), %rcx\n\tmov 32(%rsp), %r8\n\tmov 40(%rsp), %r9\n" \
		"\tleave\n\t.cfi_def_cfa %rsp, 8\n\tjmp *%rax\n"                \
		"\t.cfi_endproc\n.size " #name ", .-" #name "\n.popsection")
/* clang-format on */

#endif

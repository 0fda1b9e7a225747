/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Constants, types and macros of arch.h for an unknown machine: the minimum that compiles. Stack
 * walks use frame pointers; sleeping threads have no stack, interrupted calls are not hidden.
 *
 * `make arch-none` compiles it, to keep the rest of the agent free of machine code; it never runs.
 */
#ifndef PA_ARCH_NONE_MACHINE_H
#define PA_ARCH_NONE_MACHINE_H

#include <linux/audit.h>
#include <sys/syscall.h>

#include "../../base/base.h"

enum { PA_REG_BP, PA_REG_SP, PA_REG_PC, PA_REGS_COUNT };

#define PA_RED_ZONE_BYTES 0

#define PA_PAGE_SHIFT 12
#define PA_ADDRESS_LIMIT (UINTPTR_MAX / 2)

#define PA_ARCH_AUDIT 0
#define PA_ARCH_TRAP() __builtin_trap()
#define PA_ARCH_PAUSE()

#define PA_ENTRY

#define PA_ARCH_LIBUNWIND_H <libunwind.h>
#define PA_ARCH_COND_VERSION NULL

struct pa_fpu {
	uint8_t none;
};

/* No frame has all these words equal. */
enum {
	PA_SIGFRAME_BP,
	PA_SIGFRAME_SP = 8,
	PA_SIGFRAME_PC = 16,
	PA_SIGFRAME_MARK = 24,
	PA_SIGFRAME_FIRST = 32,
	PA_SIGFRAME_THIRD = 40,
};

#define PA_SYSCALL_BYTES 4
#define PA_CALL_CODE_BYTES 4
#define PA_CALL_BYTES 4
#define PA_PLT_BYTES 16
#define PA_PLT_ALIGN 16

enum {
	PA_SYS_POLL = -2,
	PA_SYS_SELECT = -3,
	PA_SYS_EPOLL_WAIT = -4,
	PA_SYS_PAUSE = -5,
	PA_SYS_FORK = -6,
};

#define PA_ARCH_OLD_CALLS(CALL)

#define PA_CURSOR_OF_CALLER()                                                        \
	((struct pa_cursor){                                                         \
		.pc = (uintptr_t)__builtin_return_address(0),                        \
		.sp = (uintptr_t)__builtin_frame_address(0) + 2 * sizeof(uintptr_t), \
		.bp = *(uintptr_t *)__builtin_frame_address(0),                      \
	})

#define PA_RETURN_ON_STACK(top) ((void)(top))
#define PA_DEFINE_HOP() struct pa_arch_no_hop

/* Of the arguments on the stack none arrives. */
#define PA_GATE_CHOOSES(name) pa_gate_##name
#define PA_DEFINE_GATE(name, table, pass, choose)                                         \
	extern void PA_GATE_CHOOSES(name)(void) PA_HIDDEN;                                \
	void PA_GATE_CHOOSES(name)(void)                                                  \
	{                                                                                 \
	}                                                                                 \
	PA_EXPORT long gate_of_##name(long, long, long, long, long, long) __asm__(#name); \
	long gate_of_##name(long number, long a, long b, long c, long d, long e)          \
	{                                                                                 \
		long (*chosen)(long, long, long, long, long, long) =                      \
			(void *)choose(number, a, b, c, d, e);                            \
		(void)(table), (void)(pass);                                              \
		return chosen(number, a, b, c, d, e);                                     \
	}                                                                                 \
	struct pa_arch_no_gate

#endif

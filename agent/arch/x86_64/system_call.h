/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64: system calls: raw calls, calls in a thread's registers, and their restart.
 *
 * Context: as in arch.h.
 */
#ifndef PA_ARCH_X86_64_SYSTEM_CALL_H
#define PA_ARCH_X86_64_SYSTEM_CALL_H

#include "../arch.h"

PA_INLINE long pa_arch_syscall6(long number, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long fourth __asm__("r10") = d;
	register long fifth __asm__("r8") = e;
	register long sixth __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
			 : "rcx", "r11", "memory");
	return result;
}

PA_INLINE long pa_arch_syscall(long number, long a, long b, long c, long d)
{
	long result;
	register long fourth __asm__("r10") = d;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
			 : "rcx", "r11", "memory");
	return result;
}

PA_INLINE void pa_arch_pass_syscall(struct pa_regs *regs, const uint8_t *code)
{
	if (code[0] == 0x0f && code[1] == 0x05)
		regs->gpr[PA_REG_PC] += PA_SYSCALL_BYTES;
}

/* Length of a load from the stack to a register (mov N(%rsp),R) that ends at code; 0: it is
 * none. */
PA_INLINE int pa_arch_load_bytes(const uint8_t *code)
{
	bool is_load = code[-4] == 0x8b && (code[-3] & 0xc7) == 0x44 && code[-2] == 0x24;
	if (!is_load)
		return 0;
	return (code[-5] & 0xfb) == 0x48 ? 5 : 4; /* with a prefix for 64 bits */
}

PA_INLINE long pa_arch_call_number(const uint8_t *code)
{
	if (code[-2] != 0x0f || code[-1] != 0x05)
		return -1;
	code -= 2;
	int bytes = 0;
	for (int i = 0; i < 6 && (i == 0 || bytes); i++) {
		bytes = pa_arch_load_bytes(code);
		code -= bytes;
	}
	if ((code[-2] == 0x31 || code[-2] == 0x33) && code[-1] == 0xc0) /* xor %eax,%eax */
		return 0;
	if (code[-5] != 0xb8) /* mov $N,%eax */
		return -1;
	return code[-4] | code[-3] << 8 | code[-2] << 16 | (long)code[-1] << 24;
}

PA_INLINE uintptr_t pa_arch_call_target(const uint8_t *code, uintptr_t end)
{
	int32_t distance;
	__builtin_memcpy(&distance, code + 1, sizeof(distance));
	return code[0] == 0xe8 ? end + (uintptr_t)(intptr_t)distance : 0;
}

PA_INLINE bool pa_arch_interrupted_call(const ucontext_t *context, struct pa_call *call,
	uintptr_t *end)
{
	enum { EINTR_RESULT = -4 };
	const greg_t *gregs = context->uc_mcontext.gregs;
	*end = (uintptr_t)gregs[REG_RIP];
	*call = (struct pa_call){ -1,
		{ gregs[REG_RDI], gregs[REG_RSI], gregs[REG_RDX], gregs[REG_R10], gregs[REG_R8],
			gregs[REG_R9] } };
	return gregs[REG_RAX] == EINTR_RESULT;
}

PA_INLINE void pa_arch_call_again(ucontext_t *context, const struct pa_call *call)
{
	context->uc_mcontext.gregs[REG_RIP] -= 2;
	context->uc_mcontext.gregs[REG_RAX] = call->number;
}

#endif

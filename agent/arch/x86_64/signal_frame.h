/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64: the signal frame that the kernel puts on a stack, and the registers in it.
 *
 * Context: as in arch.h.
 */
#ifndef PA_ARCH_X86_64_SIGNAL_FRAME_H
#define PA_ARCH_X86_64_SIGNAL_FRAME_H

#include "../arch.h"

PA_INLINE void pa_arch_from_context(struct pa_regs *regs, const ucontext_t *context)
{
	static const uint8_t greg_of_dwarf[PA_REGS_COUNT] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX,
		REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12,
		REG_R13, REG_R14, REG_R15, REG_RIP };
	for (int i = 0; i < PA_REGS_COUNT; i++)
		regs->gpr[i] = (uint64_t)context->uc_mcontext.gregs[greg_of_dwarf[i]];
}

/* Only AMX tile data needs a request (ARCH_REQ_XCOMP_PERM): 8 KiB, twice all other state. */
PA_INLINE size_t pa_arch_signal_frame_bytes(size_t most)
{
	const size_t tile_bytes = 8192;
	return most > tile_bytes ? most - tile_bytes : most;
}

PA_INLINE bool pa_arch_raises(const struct pa_sigframe *frame, int32_t pid, int signal)
{
	return (int32_t)frame->first == pid && (int)frame->third == signal;
}

PA_INLINE bool pa_arch_is_sigframe(uintptr_t word)
{
	const uint16_t user_code = 0x33;
	return (uint16_t)word == user_code;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inline functions of arch.h for an unknown machine.
 *
 * Context: as in arch.h.
 */
#ifndef PA_ARCH_NONE_INLINE_H
#define PA_ARCH_NONE_INLINE_H

#include <errno.h>
#include <unistd.h>

#include "../arch.h"

PA_INLINE uint64_t pa_arch_calm_flags(void)
{
	return 0;
}

PA_INLINE void pa_arch_restore_flags(const uint64_t *unusual)
{
	(void)unusual;
}

PA_INLINE void pa_arch_fresh_fpu(void)
{
}

PA_INLINE void pa_arch_save_fpu(struct pa_fpu *fpu)
{
	fpu->none = 0;
}

PA_INLINE void pa_arch_restore_fpu(const struct pa_fpu *fpu)
{
	(void)fpu;
}

PA_INLINE uintptr_t pa_arch_thread_pointer(bool fast)
{
	return !fast;
}

PA_INLINE bool pa_arch_is_of_libc(uintptr_t thread_pointer)
{
	return thread_pointer != 0;
}

PA_INLINE bool pa_arch_tls_is_fast(void)
{
	return false;
}

PA_INLINE size_t pa_arch_signal_frame_bytes(size_t most)
{
	return most;
}

PA_INLINE void pa_arch_from_context(struct pa_regs *regs, const ucontext_t *context)
{
	(void)context;
	*regs = (struct pa_regs){ { 0 } };
}

PA_INLINE bool pa_arch_raises(const struct pa_sigframe *frame, int32_t pid, int signal)
{
	return (int32_t)frame->first == pid && (int)frame->third == signal;
}

PA_INLINE bool pa_arch_is_sigframe(uintptr_t word)
{
	(void)word;
	return false;
}

PA_INLINE bool pa_arch_count_down(uint64_t *counter, uint64_t amount)
{
	uint64_t before = *counter;
	*counter = before - amount;
	return before > amount;
}

PA_INLINE bool pa_arch_is_set(const PA_ATOMIC(uint8_t) *byte)
{
	return pa_load_relaxed(byte) != 0;
}

/* No instruction exchanges two words: the exchange never succeeds, and contention is not
 * recorded. */
PA_INLINE bool pa_arch_cas_pair(struct pa_pair *pair, struct pa_pair *expected,
	struct pa_pair wanted)
{
	(void)wanted;
	*expected = pa_arch_peek_pair(pair);
	return true;
}

PA_INLINE long pa_arch_syscall6(long number, long a, long b, long c, long d, long e, long f)
{
	int saved_errno = errno;
	long result = syscall(number, a, b, c, d, e, f);
	if (result == -1)
		result = -errno;
	errno = saved_errno;
	return result;
}

PA_INLINE long pa_arch_syscall(long number, long a, long b, long c, long d)
{
	return pa_arch_syscall6(number, a, b, c, d, 0, 0);
}

PA_INLINE void pa_arch_pass_syscall(struct pa_regs *regs, const uint8_t *code)
{
	(void)regs;
	(void)code;
}

PA_INLINE long pa_arch_call_number(const uint8_t *code)
{
	(void)code;
	return -1;
}

PA_INLINE uintptr_t pa_arch_call_target(const uint8_t *code, uintptr_t end)
{
	(void)code;
	(void)end;
	return 0;
}

PA_INLINE bool pa_arch_interrupted_call(const ucontext_t *context, struct pa_call *call,
	uintptr_t *end)
{
	(void)context;
	*call = (struct pa_call){ .number = -1 };
	*end = 0;
	return false;
}

PA_INLINE void pa_arch_call_again(ucontext_t *context, const struct pa_call *call)
{
	(void)context;
	(void)call;
}

#endif

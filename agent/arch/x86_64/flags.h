/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64: flags, floating-point unit, TLS.
 *
 * Context: as in arch.h.
 */
#ifndef PA_ARCH_X86_64_FLAGS_H
#define PA_ARCH_X86_64_FLAGS_H

#include <sys/auxv.h>

#include "../arch.h"

#define PA_FLAGS_DIRECTION ((uint64_t)1 << 10)
#define PA_FLAGS_ALIGNMENT ((uint64_t)1 << 18)
#define PA_FLAGS_UNUSUAL (PA_FLAGS_DIRECTION | PA_FLAGS_ALIGNMENT)

/* Moves sp below the red zone. Not __builtin_ia32_readeflags_u64: gcc 12 with -O0 pops into the
 * wrong word when the stack is realigned. */
PA_INLINE uint64_t pa_arch_flags(void)
{
	uint64_t flags;
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\tpop %0\n\tlea 128(%%rsp), %%rsp"
			 : "=r"(flags)
			 :
			 : "memory");
	return flags;
}

PA_INLINE void pa_arch_set_flags(uint64_t flags)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpush %0\n\tpopfq\n\tlea 128(%%rsp), %%rsp"
			 :
			 : "r"(flags)
			 : "memory", "cc");
}

PA_INLINE uint64_t pa_arch_calm_flags(void)
{
	uint64_t flags = pa_arch_flags();
	if (pa_unlikely(flags & PA_FLAGS_UNUSUAL))
		pa_arch_set_flags(flags & ~PA_FLAGS_UNUSUAL);
	return flags & PA_FLAGS_UNUSUAL;
}

PA_INLINE void pa_arch_restore_flags(const uint64_t *unusual)
{
	if (pa_unlikely(*unusual))
		pa_arch_set_flags(pa_arch_flags() | *unusual);
}

/* The state that the ABI defines for process start. */
PA_INLINE void pa_arch_fresh_fpu(void)
{
	const uint32_t all_masked = 0x1f80;
	__asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(all_masked) : "memory");
}

PA_INLINE void pa_arch_save_fpu(struct pa_fpu *fpu)
{
	__asm__ volatile("fxsave64 %0" : "=m"(*fpu) : : "memory");
	pa_arch_fresh_fpu();
}

PA_INLINE void pa_arch_restore_fpu(const struct pa_fpu *fpu)
{
	__asm__ volatile("fxrstor64 %0" : : "m"(*fpu) : "memory");
}

PA_INLINE uintptr_t pa_arch_thread_pointer(bool fast)
{
	unsigned long base = 0;
	if (fast)
		__asm__ volatile("rdfsbase %0" : "=r"(base));
	else
		pa_arch_syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, (long)&base, 0, 0);
	return base;
}

/* tcbhead_t.self (sysdeps/x86_64/nptl/tls.h), where THREAD_SELF reads it in all versions. */
PA_INLINE bool pa_arch_is_of_libc(uintptr_t thread_pointer)
{
	const uintptr_t *self = (const uintptr_t *)thread_pointer + 2;
	return pa_arch_readable((uintptr_t)self) && *self == thread_pointer;
}

/* AT_HWCAP2 bit 1: the kernel permits rdfsbase. */
PA_INLINE bool pa_arch_tls_is_fast(void)
{
	return getauxval(AT_HWCAP2) & 2;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64: instructions of the hot paths, and the exchange of a pair.
 *
 * Context: as in arch.h.
 */
#ifndef PA_ARCH_X86_64_ATOMICS_H
#define PA_ARCH_X86_64_ATOMICS_H

#include "../arch.h"

PA_INLINE bool pa_arch_count_down(uint64_t *counter, uint64_t amount)
{
	bool enough;
	__asm__("subq %2, %0" : "+m"(*counter), "=@cca"(enough) : "r"(amount));
	return enough;
}

PA_INLINE bool pa_arch_is_set(const PA_ATOMIC(uint8_t) *byte)
{
	bool set;
	__asm__("cmpb $0, %1" : "=@ccne"(set) : "m"(*byte));
	return set;
}

/* Every x86-64 CPU that runs a supported glibc has cmpxchg16b. */
PA_INLINE bool pa_arch_cas_pair(struct pa_pair *pair, struct pa_pair *expected,
	struct pa_pair wanted)
{
	bool swapped;
	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(swapped), "+m"(*pair), "+a"(expected->low), "+d"(expected->high)
			 : "b"(wanted.low), "c"(wanted.high)
			 : "memory");
	return swapped;
}

#endif

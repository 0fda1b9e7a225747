/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Program headers of a mapped object.
 *
 * Context: PA_SIGNAL. No state.
 */
#ifndef PA_PHDR_H
#define PA_PHDR_H

#include <elf.h>

#include "base.h"

/* The segment with the address that is loaded with these flags (PF_X ...; 0: any); NULL: there is
 * none. bias: what is added to the addresses of the file. */
PA_INLINE const Elf64_Phdr *pa_phdr_find(const Elf64_Phdr *headers, size_t count, uintptr_t bias,
	Elf64_Word flags, uintptr_t address)
{
	for (size_t i = 0; i < count; i++)
		if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & flags) == flags &&
			address - bias - headers[i].p_vaddr < headers[i].p_memsz)
			return &headers[i];
	return NULL;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An auditor (rtld-audit(7)) that looks at each call through a PLT, before and after it: such calls
 * are made by the loader, with a part of the stack copied, and not by their caller.
 */
#include <link.h>
#include <stdint.h>

#define STACK_BYTES 64

unsigned int la_version(unsigned int version)
{
	(void)version;
	return LAV_CURRENT;
}

unsigned int la_objopen(struct link_map *map, Lmid_t space, uintptr_t *cookie)
{
	(void)map;
	(void)space;
	(void)cookie;
	return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}

Elf64_Addr la_x86_64_gnu_pltenter(Elf64_Sym *symbol, unsigned int index, uintptr_t *from,
	uintptr_t *to, La_x86_64_regs *regs, unsigned int *flags, const char *name,
	long int *stack_bytes)
{
	(void)index;
	(void)from;
	(void)to;
	(void)regs;
	(void)flags;
	(void)name;
	*stack_bytes = STACK_BYTES;
	return symbol->st_value;
}

unsigned int la_x86_64_gnu_pltexit(Elf64_Sym *symbol, unsigned int index, uintptr_t *from,
	uintptr_t *to, const La_x86_64_regs *regs, La_x86_64_retval *result, const char *name)
{
	(void)symbol;
	(void)index;
	(void)from;
	(void)to;
	(void)regs;
	(void)result;
	(void)name;
	return 0;
}

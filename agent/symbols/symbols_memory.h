/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names from the mapped image, by its dynamic section: for files that were deleted, replaced or
 * never existed (the vdso), and for stubs of the procedure linkage table, which no symbol table
 * contains.
 *
 * Context: PA_AGENT, the render thread only. No lock. Reads memory that may be unmapped at any time
 * with pa_maps_read_memory.
 */
#ifndef PA_SYMBOLS_MEMORY_H
#define PA_SYMBOLS_MEMORY_H

#include "symbols_table.h"

/* Adds the module's exported functions to table. False: none. */
PA_AGENT bool pa_symbols_memory_add(const struct pa_module *module, struct pa_symbols_table *table);

/*
 * Writes the name of the stub at pc, "name@plt", to out and its address to *entry. False: pc is not
 * in a stub. The name comes from the relocation of the word that the stub jumps through. Where that
 * has no symbol (IFUNC), out is "" and *target (else 0) the resolver's ELF virtual address.
 */
PA_AGENT bool pa_symbols_memory_stub(const struct pa_module *module, uintptr_t pc, char *out,
	size_t size, uintptr_t *entry, uint64_t *target);

/* True if the module is still mapped at its address. */
PA_AGENT bool pa_symbols_memory_intact(const struct pa_module *module);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for functions of stripped files, by the unwind information that stripping leaves: the start
 * of the function's frame description entry (FDE) in its file. One name a function, the same in
 * each process, so that readers which drop or merge locations without a name keep them apart.
 *
 * Context: PA_AGENT, the render thread only. No lock. Reads memory that may be unmapped at any time
 * with pa_maps_read_memory.
 */
#ifndef PA_SYMBOLS_UNNAMED_H
#define PA_SYMBOLS_UNNAMED_H

#include "../modules/maps.h"

/*
 * Writes the name of the function at pc, "libz.so.1+0x3a40" with the ELF virtual address of its
 * start, and that address at run time to *entry; "[libz.so.1]" and 0 where no FDE has the pc.
 * False: the module is not an ELF file.
 */
PA_AGENT bool pa_symbols_unnamed(const struct pa_module *module, uintptr_t pc, char *name,
	size_t size, uintptr_t *entry);

#endif

/*
 * Names out of the mapped image itself, through its dynamic section: for files that are gone,
 * replaced or never were (the vdso), and for the stubs of the procedure linkage table, which have
 * no symbols anywhere.
 *
 * Context: PA_AGENT, the render thread only. All reads are safe ones.
 */
#ifndef PA_SYMBOLS_MEMORY_H
#define PA_SYMBOLS_MEMORY_H

#include "symbols_table.h"

/* The module's exported functions into table. False when there are none. */
PA_AGENT bool pa_symbols_memory_add(const struct pa_module *module,
	struct pa_symbols_table *table);

/*
 * The name of the stub at pc, "name@plt", into out. *entry gets its address. False when pc is in no
 * stub. x86-64's stubs jump through a slot that a relocation names.
 */
PA_AGENT bool pa_symbols_memory_stub(const struct pa_module *module, uintptr_t pc, char *out,
	size_t size, uintptr_t *entry);

/* The module is still what is mapped at its place. */
PA_AGENT bool pa_symbols_memory_intact(const struct pa_module *module);

#endif

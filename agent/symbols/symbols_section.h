/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads a whole section of a module's file, decompressed: unwind tables that are not in memory.
 *
 * Context: PA_AGENT, one thread at a time. No lock. The caller unmaps the bytes.
 */
#ifndef PA_SYMBOLS_SECTION_H
#define PA_SYMBOLS_SECTION_H

#include "../unwind/cfi_file.h"

/* A pa_cfi_load_fn. .debug_frame is also looked for in the module's separate debug file. */
PA_AGENT bool pa_symbols_section_load(const struct pa_module *module, const char *name,
	struct pa_cfi_section *section);

#endif

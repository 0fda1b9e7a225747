/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes stubs of the procedure linkage table: code that jumps to the address in a word. Part of
 * the interface of arch.h; a machine without it returns false.
 *
 * Context: PA_AGENT. No state.
 */
#ifndef PA_PLT_H
#define PA_PLT_H

#include "arch.h"

/*
 * True when code (PA_PLT_BYTES copied from address at) begins with a stub; *word_at is the address
 * of the word with its target. Stubs begin at multiples of PA_PLT_ALIGN.
 */
PA_AGENT bool pa_plt_decode(const uint8_t code[PA_PLT_BYTES], uintptr_t at, uintptr_t *word_at);

#endif

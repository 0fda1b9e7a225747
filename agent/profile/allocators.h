/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocators in the program and its libraries: which there are, and their code.
 *
 * The agent's malloc precedes that of a library: its calls are seen. Calls of an allocator that is
 * linked statically do not reach the agent, nor do those of the operator new that an allocator's
 * library defines: the heap profile lacks them, and must say so.
 *
 * Context: PA_AGENT. Lock: PA_LOCK_ALLOCATORS while modules are read; readers take none: an entry
 * is constant after its publication. When full (16): further ones are not known.
 */
#ifndef PA_ALLOCATORS_H
#define PA_ALLOCATORS_H

#include "allocator_scan.h"

struct pa_allocators_item {
	const struct pa_module *module; /* it may be unloaded by now */
	struct pa_allocator_scan scan;
	bool serves_malloc; /* calls of malloc reach it through the agent's hooks: they are seen */
	bool serves_new;    /* the program's operator new is this one's, and not seen */
};

/* Looks at the modules that are new since the last call. Not on the collector's thread. */
PA_AGENT void pa_allocators_look(void);

/* Each of those known, by index; NULL: there are no more. */
PA_AGENT const struct pa_allocators_item *pa_allocators_get(uint32_t index);

/* The one in the executable itself, which is never unloaded; NULL: there is none. */
PA_AGENT const struct pa_allocators_item *pa_allocators_of_program(void);

/*
 * Number of leading pcs that are code of an allocator, of a stack that begins in one of its hooks.
 * At least one pc stays.
 */
PA_AGENT uint32_t pa_allocators_cut(const uintptr_t *pcs, uint32_t depth);

PA_BOOT void pa_allocators_atfork_child(void);

#endif

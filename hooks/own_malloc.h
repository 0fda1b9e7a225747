/* SPDX-License-Identifier: Apache-2.0 */
/*
 * malloc and its family on the agent's own memory (record/own_memory.h): for the core's libraries,
 * and for the malloc hooks on agent threads.
 *
 * Context: PA_AGENT and PA_API. Blocks of the program's allocator (libc returns some) are
 * recognized and passed to it. When full: NULL, errno ENOMEM.
 */
#ifndef PA_OWN_MALLOC_H
#define PA_OWN_MALLOC_H

#include "../agent/core/bridge.h"
#include "hooks.h"

extern const struct pa_bridge_malloc pa_own_malloc PA_HIDDEN;

/* realloc of an agent block by a thread of the program: moves it to the program's allocator. */
PA_APP void *pa_own_malloc_move(void *old, size_t bytes);

#endif

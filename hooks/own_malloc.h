/*
 * malloc and its family in the agent's own memory (record/own_memory.h): what the core's libraries
 * get, and what the malloc hooks give on the agent's threads.
 *
 * Context: PA_AGENT, and PA_APP in what the program calls by pprofagent.h. Blocks of the program's
 * allocator (libc hands some out) are known, and go to it.
 */
#ifndef PA_OWN_MALLOC_H
#define PA_OWN_MALLOC_H

#include "../agent/record/bridge.h"
#include "hooks.h"

extern const struct pa_real_memory pa_own_malloc PA_HIDDEN;

/* realloc of a block of the agent's: by one of the program's threads it becomes the program's. */
PA_APP void *pa_own_malloc_move(void *old, size_t bytes);

#endif

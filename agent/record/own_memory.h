/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocator of the agent's threads: malloc and its family there, including allocations by
 * libraries.
 *
 * It uses its own mappings. The program's allocator would create an arena for each agent thread
 * (glibc: 64 MiB of address space each, which counts against RLIMIT_AS), and would count the
 * agent's objects as the program's. Memory that libc or the loader allocates on an agent thread may
 * be freed or resized by a thread of the program: free() and realloc() recognize it by
 * pa_own_memory_has.
 *
 * Small blocks come from slabs of 64 KiB, one size class each; larger ones are mappings. Empty
 * slabs are unmapped. All of it counts in pa_map_bytes (base/arena.h).
 *
 * Context: alloc PA_AGENT and PA_API; the others as marked.
 * Lock: PA_LOCK_MEMORY; free on a thread of the program does not take it.
 * When full (no memory, or 4,096 mappings): NULL, errno ENOMEM.
 */
#ifndef PA_OWN_MEMORY_H
#define PA_OWN_MEMORY_H

#include "../base/base.h"

#define PA_OWN_MEMORY_ALIGNMENT ((size_t)16)

/* Not zeroed. alignment: a power of two, at most 32 KiB, or 0 for that of malloc. */
PA_AGENT void *pa_own_memory_alloc(size_t alignment, size_t bytes);

/* True for a block of alloc that is not freed. No lock, a few loads. */
PA_SIGNAL bool pa_own_memory_has(const void *block);

/* Usable size of the block. */
PA_APP size_t pa_own_memory_size(const void *block);

/* On any thread. A thread of the program queues the block for the agent's next call: it never
 * waits. */
PA_APP void pa_own_memory_free(void *block);

/*
 * In a forked child. When an agent thread was inside at the fork, its lists are in an unknown
 * state: they are abandoned, and allocated blocks stay valid.
 */
PA_BOOT void pa_own_memory_atfork_child(void);

#endif

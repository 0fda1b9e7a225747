/*
 * Memory of the agent's own threads: what malloc gives them, and what our libraries allocate.
 *
 * It comes from mappings of its own. The program's allocator would make an arena for each of our
 * threads (glibc: 64 MiB of addresses each, which RLIMIT_AS counts), and would count our objects as
 * the program's. What libc or the loader allocates on a thread of ours may be freed or grown by a
 * thread of the program: free() and realloc() know such memory by pa_own_memory_has.
 *
 * Small blocks come from slabs of 64 KiB, one size class each; larger ones are mappings. Slabs that
 * are empty go back to the kernel. All of it is among pa_map_bytes (base/arena.h).
 *
 * Context: alloc PA_AGENT (and what the program calls by pprofagent.h); the others as they say.
 * Lock: PA_LOCK_MEMORY, never taken by free on a thread of the program.
 * When the kernel has no memory, or 4,096 mappings are in use: NULL, errno ENOMEM.
 */
#ifndef PA_OWN_MEMORY_H
#define PA_OWN_MEMORY_H

#include "../base/base.h"

#define PA_OWN_MEMORY_ALIGNMENT ((size_t)16)

/* alignment: a power of two, at most 32 KiB, or 0 for that of malloc. Not zeroed. */
PA_AGENT void *pa_own_memory_alloc(size_t alignment, size_t bytes);

/* True of a block that alloc gave and that was not freed. No lock, a few loads. */
PA_SIGNAL bool pa_own_memory_has(const void *block);

/* Bytes that the block has room for. */
PA_APP size_t pa_own_memory_size(const void *block);

/* On any thread. One of the program's puts it aside for the next call of ours: it never waits. */
PA_APP void pa_own_memory_free(void *block);

/*
 * In a forked child. A thread of ours that was inside at the time of the fork is gone: its lists
 * are given up then, and what was allocated stays as it is.
 */
PA_BOOT void pa_own_memory_atfork_child(void);

#endif

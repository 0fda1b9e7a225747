/*
 * Memory of the agent's tables: bump allocation out of mmap, never from malloc, so that tables can
 * be read after fork and are counted against the stated cap.
 *
 * Context: PA_AGENT (and PA_BOOT). Not thread-safe: the caller's lock guards each arena.
 * When full (cap reached, or mmap failed): NULL; the caller counts what it drops.
 */
#ifndef PA_ARENA_H
#define PA_ARENA_H

#include "atomic.h"
#include "base.h"

struct pa_arena_chunk;

struct pa_arena {
	const char *name;             /* for the agent page */
	size_t cap_bytes;             /* never more than this from the kernel */
	size_t mapped_bytes;          /* from the kernel so far */
	char *next, *end;             /* the chunk being filled */
	struct pa_arena_chunk *chunks; /* all chunks, newest first */
};

#define PA_ARENA_INIT(n, cap) { .name = (n), .cap_bytes = (cap) }

/* Zeroed, 16-byte aligned; NULL when the cap is reached. */
PA_AGENT void *pa_arena_alloc(struct pa_arena *arena, size_t bytes);

/* A copy of text (len bytes, NUL added) or NULL. */
PA_AGENT char *pa_arena_strndup(struct pa_arena *arena, const char *text, size_t len);

/* Gives all memory back to the kernel; pointers into the arena die. */
PA_AGENT void pa_arena_free(struct pa_arena *arena);

/*
 * An address to ask mmap for. A program that unmaps a part of its memory and maps it again at the
 * same place must not find us there, or take away what is ours.
 */
PA_SIGNAL void *pa_map_place(size_t bytes);

/* Zeroed pages straight from the kernel, NULL on failure; counted in pa_map_bytes(). */
PA_APP void *pa_map(size_t bytes);

/*
 * The same at a multiple of alignment, a power of two of whole pages. Those that are asked for one
 * after the other are neighbours, and one mapping for the kernel: a fork copies each.
 */
PA_APP void *pa_map_aligned(size_t bytes, size_t alignment);
PA_APP void pa_unmap(void *memory, size_t bytes);

/* All bytes mapped by arenas and pa_map in this object now. Statistics only. */
PA_SIGNAL size_t pa_map_bytes(void);

#endif

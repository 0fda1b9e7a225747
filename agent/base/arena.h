/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for the agent's tables: bump allocation from mmap, never malloc, so that tables are
 * readable after fork and count against the documented cap.
 *
 * Context: PA_AGENT (and PA_BOOT). Not thread-safe: the caller's lock guards each arena. The arena
 * owns its memory until pa_arena_free.
 * When full (cap reached, or mmap failed): NULL; the caller counts what it drops.
 */
#ifndef PA_ARENA_H
#define PA_ARENA_H

#include "atomic.h"
#include "base.h"

struct pa_arena_chunk;

struct pa_arena {
	const char *name;              /* for the agent page */
	size_t cap_bytes;              /* upper bound of mapped_bytes */
	size_t mapped_bytes;           /* mapped so far */
	char *next, *end;              /* the chunk being filled */
	struct pa_arena_chunk *chunks; /* all chunks, newest first */
};

#define PA_ARENA_INIT(n, cap)                   \
	{                                       \
		.name = (n), .cap_bytes = (cap) \
	}

/* size bytes, zeroed, 16-byte aligned. NULL when the cap is reached or mmap fails. */
PA_AGENT void *pa_arena_alloc(struct pa_arena *arena, size_t bytes);

/* Copy of text (len bytes, NUL added). NULL as pa_arena_alloc. */
PA_AGENT char *pa_arena_strndup(struct pa_arena *arena, const char *text, size_t len);

/* Unmaps all memory; pointers into the arena become invalid. */
PA_AGENT void pa_arena_free(struct pa_arena *arena);

/*
 * Address hint for mmap, in a range that programs do not use: a program that unmaps part of its
 * memory and maps it again at the same address must neither hit nor replace a mapping of the agent.
 */
PA_SIGNAL void *pa_map_place(size_t bytes);

/* Zeroed pages from mmap, NULL on failure; counted in pa_map_bytes(). */
PA_APP void *pa_map(size_t bytes);

/*
 * As pa_map, at a multiple of alignment (a power of two, whole pages). Consecutive calls return
 * adjacent memory, which the kernel merges into one mapping: fork copies each mapping.
 */
PA_APP void *pa_map_aligned(size_t bytes, size_t alignment);
PA_APP void pa_unmap(void *memory, size_t bytes);

/*
 * A sparse table that its owner counts: MAP_NORESERVE, so most of it may stay unused. NULL on
 * failure; errno kept.
 */
PA_APP void *pa_map_table(size_t bytes);
PA_APP void pa_unmap_table(void *table, size_t bytes);

/* Bytes mapped by arenas and pa_map in this shared object now. Statistics only. */
PA_SIGNAL size_t pa_map_bytes(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "../arch/arch.h"
#include "own_maps.h"

#define FIRST_CHUNK_BYTES ((size_t)64 << 10)
#define LARGEST_CHUNK_BYTES ((size_t)1 << 20)
#define ALIGNMENT 16

/* Header of each chunk. */
struct pa_arena_chunk {
	struct pa_arena_chunk *older;
	size_t bytes; /* of the mapping */
};

_Static_assert(sizeof(struct pa_arena_chunk) % ALIGNMENT == 0, "the first object is aligned");

static struct {
	PA_ATOMIC(size_t) mapped_bytes; /* statistics only */
} state;

/*
 * The address range for the agent's mappings: no usual layout has anything in it. The start differs
 * by process. Both shared objects contain this file and take their places one behind the other:
 * fork copies each page table in use. Where the range is occupied, the kernel chooses another
 * address: mmap(2), addr is a hint.
 */
#define PLACES_LO ((uintptr_t)0x300000000000)
#define PLACES_BITS 41
#define GOLDEN ((uint64_t)0x9e3779b97f4a7c15)

static size_t round_up_to_page(size_t bytes)
{
	return PA_ALIGN_UP(bytes, PA_PAGE_BYTES);
}

static uintptr_t first_place(const struct pa_own_maps *maps)
{
	uint64_t page =
		((uintptr_t)maps >> PA_PAGE_SHIFT) * GOLDEN >> (64 - PLACES_BITS + PA_PAGE_SHIFT);
	return PLACES_LO + (page << PA_PAGE_SHIFT);
}

static void *place_aligned(size_t bytes, size_t alignment)
{
	struct pa_own_maps *maps = pa_own_maps();
	uintptr_t first = first_place(maps), at, place;
	uintptr_t placed = pa_load_relaxed(&maps->placed_bytes);
	/* Ends: the exchange fails only when another thread's exchange succeeds. */
	do {
		at = placed & (((uintptr_t)1 << PLACES_BITS) - 1);
		place = PA_ALIGN_UP(first + at, alignment);
	} while (!pa_cas_relaxed(&maps->placed_bytes, &placed,
		placed + (place - first - at) + round_up_to_page(bytes)));
	return (void *)place;
}

PA_SIGNAL void *pa_map_place(size_t bytes)
{
	return place_aligned(bytes, PA_PAGE_BYTES);
}

/* After mlockall(MCL_FUTURE), mmap would populate all pages (mlockall(2)): map without access,
 * munlock, then permit access. */
static void *map_unlocked(void *place, size_t bytes)
{
	void *memory =
		mmap(place, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return MAP_FAILED;
	pa_own_maps_unlock(memory, bytes);
	if (mprotect(memory, bytes, PROT_READ | PROT_WRITE) == 0)
		return memory;
	munmap(memory, bytes);
	return MAP_FAILED;
}

/* bytes: whole pages. NULL: no memory. */
static void *map_pages(void *place, size_t bytes, int more_flags)
{
	int saved = errno;
	bool locked = pa_own_maps_are_locked();
	void *memory = locked ? map_unlocked(place, bytes) :
				mmap(place, bytes, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | more_flags, -1, 0);

	/* A mapping at another address is not recorded: the program may get that address later. */
	if (memory == place)
		pa_own_maps_add(memory, bytes);
	if (memory != MAP_FAILED && !locked && pa_own_maps_are_locked())
		pa_own_maps_unlock(memory, bytes);
	errno = saved;
	return memory == MAP_FAILED ? NULL : memory;
}

static void *map_at(void *place, size_t bytes)
{
	void *memory;

	if (bytes == 0 || bytes > PTRDIFF_MAX)
		return NULL;
	memory = map_pages(place, round_up_to_page(bytes), 0);
	if (memory)
		pa_add_relaxed(&state.mapped_bytes, round_up_to_page(bytes));
	return memory;
}

PA_APP void *pa_map(size_t bytes)
{
	return map_at(pa_map_place(bytes), bytes);
}

PA_APP void *pa_map_table(size_t bytes)
{
	return map_pages(pa_map_place(bytes), round_up_to_page(bytes), MAP_NORESERVE);
}

PA_APP void pa_unmap_table(void *table, size_t bytes)
{
	int saved = errno;

	pa_own_maps_remove(table, round_up_to_page(bytes));
	munmap(table, round_up_to_page(bytes));
	errno = saved;
}

/* The kernel chose the address: map more than needed and unmap what is in excess. */
static void *map_wide(size_t bytes, size_t alignment)
{
	char *wide = pa_map(bytes + alignment);
	if (!wide)
		return NULL;
	char *base = (char *)PA_ALIGN_UP((uintptr_t)wide, alignment);
	size_t before = (size_t)(base - wide), behind = alignment - before;
	if (before)
		pa_unmap(wide, before);
	if (behind)
		pa_unmap(base + bytes, behind);
	return base;
}

PA_APP void *pa_map_aligned(size_t bytes, size_t alignment)
{
	bytes = round_up_to_page(bytes);
	char *memory = map_at(place_aligned(bytes, alignment), bytes);
	if (!memory || (uintptr_t)memory % alignment == 0)
		return memory;
	pa_unmap(memory, bytes);
	return map_wide(bytes, alignment);
}

PA_APP void pa_unmap(void *memory, size_t bytes)
{
	int saved = errno;

	if (!memory)
		return;
	pa_own_maps_remove(memory, round_up_to_page(bytes));
	/* Fails with ENOMEM when the process is at vm.max_map_count (munmap(2)): the pages stay
	 * mapped. */
	if (munmap(memory, round_up_to_page(bytes)) == 0)
		pa_sub_relaxed(&state.mapped_bytes, round_up_to_page(bytes));
	errno = saved;
}

PA_SIGNAL size_t pa_map_bytes(void)
{
	return pa_load_relaxed(&state.mapped_bytes);
}

/*
 * Size of the next chunk: 64 KiB, then each twice the one before, up to 1 MiB (mapped_bytes + 64
 * KiB yields this series), at last the rest of the cap. 0: less is left than needed.
 */
static size_t chunk_bytes(const struct pa_arena *arena, size_t needed)
{
	size_t room = arena->cap_bytes - arena->mapped_bytes;
	size_t wanted = arena->mapped_bytes + FIRST_CHUNK_BYTES;

	if (wanted > LARGEST_CHUNK_BYTES)
		wanted = LARGEST_CHUNK_BYTES;
	if (wanted < needed)
		wanted = round_up_to_page(needed);
	if (wanted > room)
		wanted = room & ~(PA_PAGE_BYTES - 1);
	return wanted >= needed ? wanted : 0;
}

static struct pa_arena_chunk *add_chunk(struct pa_arena *arena, size_t needed)
{
	size_t bytes = chunk_bytes(arena, needed);
	struct pa_arena_chunk *chunk = bytes ? pa_map(bytes) : NULL;

	if (!chunk)
		return NULL;
	chunk->bytes = bytes;
	chunk->older = arena->chunks;
	arena->chunks = chunk;
	arena->mapped_bytes += bytes;
	return chunk;
}

static void *alloc_slow(struct pa_arena *arena, size_t bytes)
{
	struct pa_arena_chunk *chunk = add_chunk(arena, sizeof(*chunk) + bytes);
	char *object, *end;

	if (!chunk)
		return NULL;
	object = (char *)(chunk + 1);
	end = (char *)chunk + chunk->bytes;
	/* An object with a chunk of its own leaves the chunk being filled in place. */
	if (end - (object + bytes) > arena->end - arena->next) {
		arena->next = object + bytes;
		arena->end = end;
	}
	return object;
}

PA_AGENT void *pa_arena_alloc(struct pa_arena *arena, size_t bytes)
{
	char *object = arena->next;

	if (pa_unlikely(bytes > arena->cap_bytes || bytes > PTRDIFF_MAX))
		return NULL;
	bytes = bytes ? PA_ALIGN_UP(bytes, ALIGNMENT) : ALIGNMENT;
	if (pa_unlikely(bytes > (size_t)(arena->end - arena->next)))
		return alloc_slow(arena, bytes);
	arena->next += bytes;
	return object;
}

PA_AGENT char *pa_arena_strndup(struct pa_arena *arena, const char *text, size_t len)
{
	char *copy = len < SIZE_MAX ? pa_arena_alloc(arena, len + 1) : NULL;

	if (copy)
		memcpy(copy, text, len);
	return copy;
}

PA_AGENT void pa_arena_free(struct pa_arena *arena)
{
	struct pa_arena_chunk *chunk = arena->chunks;

	while (chunk) {
		struct pa_arena_chunk *older = chunk->older;

		pa_unmap(chunk, chunk->bytes);
		chunk = older;
	}
	arena->chunks = NULL;
	arena->next = arena->end = NULL;
	arena->mapped_bytes = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "own_memory.h"

#include <errno.h>
#include <string.h>

#include "../arch/arch.h"
#include "../base/arena.h"
#include "../base/lock.h"
#include "alloc.h"
#include "thread.h"

#include "../base/banned.h"

#define SLAB_BYTES ((size_t)64 << 10)
#define LARGEST_ALIGNMENT (SLAB_BYTES / 2)

/* Four size classes per doubling: 64, 80, 96, 112, 128, 160 ... bytes. */
#define CLASS_STEPS 4
#define FIRST_CLASS_BYTES ((size_t)64)
#define LARGEST_CLASS_BYTES ((size_t)16 << 10)
#define CLASSES 33

/* All mappings, hashed by address; a power of two. */
#define PLACES 4096
#define PLACE_FREE ((uintptr_t)0)
#define PLACE_LEFT ((uintptr_t)1) /* was in use: a search continues behind it */

/* A free block. */
struct block {
	struct block *next;
};

/* Header of each mapping, at a multiple of SLAB_BYTES. */
struct slab {
	size_t mapped_bytes;
	size_t block_bytes;  /* of its class; of a large block, its room */
	uint32_t generation; /* of the lists that contain it */
	uint32_t used;       /* allocated blocks */
	size_t unused_at;    /* offset of the blocks that were never allocated */
	struct block *free;
	struct slab *next, *previous; /* slabs of the class with free blocks */
	uint8_t class;                /* CLASSES: one large block */
	bool listed;
} __attribute__((aligned(64)));

static PA_LARGE_DATA struct {
	struct pa_lock lock;
	struct slab *with_room[CLASSES];     /* guard: lock */
	uint32_t generation;                 /* guard: lock */
	PA_ATOMIC(struct block *) to_free;   /* freed by threads of the program; acq_rel, taken
					      * as a whole */
	PA_ATOMIC(uintptr_t) places[PLACES]; /* written under lock; release / acquire */
} state = { .lock = PA_LOCK_INIT(PA_LOCK_MEMORY) };

/* ---- classes ---- */

/* The smallest class that fits; bytes <= LARGEST_CLASS_BYTES. */
static unsigned class_of_bytes(size_t bytes)
{
	PA_ASSERT(bytes <= LARGEST_CLASS_BYTES);
	if (bytes <= FIRST_CLASS_BYTES)
		return 0;
	unsigned doublings = 57 - (unsigned)__builtin_clzll(bytes - 1); /* 65..128: 0 */
	size_t step = FIRST_CLASS_BYTES / CLASS_STEPS << doublings;
	size_t base = FIRST_CLASS_BYTES << doublings;
	return doublings * CLASS_STEPS + (unsigned)((bytes - base + step - 1) / step);
}

static size_t class_bytes(unsigned class)
{
	PA_ASSERT(class < CLASSES);
	size_t base = FIRST_CLASS_BYTES << (class / CLASS_STEPS);
	return base + class % CLASS_STEPS * (base / CLASS_STEPS);
}

/* ---- mappings ---- */

static size_t place_of_block(uintptr_t base)
{
	return (base / SLAB_BYTES * 0x9e3779b97f4a7c15u >> 40) & (PLACES - 1);
}

/* Index of the mapping, or PLACES when it is not the agent's. */
static size_t find_block_place(uintptr_t base)
{
	size_t at = place_of_block(base);
	if (base <= PLACE_LEFT)
		return PLACES;
	for (size_t i = 0; i < PLACES; i++, at = (at + 1) & (PLACES - 1)) {
		uintptr_t found = pa_load_acquire(&state.places[at]);
		if (found == base)
			return at;
		if (found == PLACE_FREE)
			break;
	}
	return PLACES;
}

static bool enter_place_locked(uintptr_t base)
{
	PA_ASSERT_HELD(PA_LOCK_MEMORY);
	PA_ASSERT(base > PLACE_LEFT && find_block_place(base) == PLACES);
	size_t at = place_of_block(base);
	for (size_t i = 0; i < PLACES; i++, at = (at + 1) & (PLACES - 1)) {
		if (pa_load_relaxed(&state.places[at]) > PLACE_LEFT)
			continue;
		pa_store_release(&state.places[at], base);
		return true;
	}
	return false;
}

static struct slab *slab_of(const void *block)
{
	return (struct slab *)((uintptr_t)block & ~(uintptr_t)(SLAB_BYTES - 1));
}

/* Length of the part of a mapping in which blocks begin: free() checks the counts of its pages. */
static size_t marked_bytes(const struct slab *slab)
{
	return slab->mapped_bytes < SLAB_BYTES ? slab->mapped_bytes : SLAB_BYTES;
}

static struct slab *map_slab_locked(size_t bytes, size_t block_bytes, unsigned class)
{
	PA_ASSERT_HELD(PA_LOCK_MEMORY);
	PA_ASSERT(class <= CLASSES);
	bytes = PA_ALIGN_UP(bytes, PA_PAGE_BYTES);
	struct slab *slab = pa_map_aligned(bytes, SLAB_BYTES);
	if (!slab)
		return NULL;
	if (!enter_place_locked((uintptr_t)slab)) {
		pa_unmap(slab, bytes);
		return NULL;
	}
	slab->mapped_bytes = bytes;
	slab->block_bytes = block_bytes;
	slab->class = (uint8_t) class;
	slab->generation = state.generation;
	slab->unused_at = sizeof(*slab);
	pa_alloc_mark(slab, marked_bytes(slab));
	return slab;
}

static void unmap_slab_locked(struct slab *slab)
{
	PA_ASSERT_HELD(PA_LOCK_MEMORY);
	PA_ASSERT(!slab->listed);
	PA_ASSERT(find_block_place((uintptr_t)slab) != PLACES);
	size_t bytes = slab->mapped_bytes;
	pa_alloc_unmark(slab, marked_bytes(slab));
	pa_store_release(&state.places[find_block_place((uintptr_t)slab)], PLACE_LEFT);
	pa_unmap(slab, bytes);
}

/* ---- small blocks ---- */

static void list_locked(struct slab *slab)
{
	PA_ASSERT_HELD(PA_LOCK_MEMORY);
	PA_ASSERT(!slab->listed && slab->class < CLASSES);
	struct slab **head = &state.with_room[slab->class];
	slab->previous = NULL;
	slab->next = *head;
	if (*head)
		(*head)->previous = slab;
	*head = slab;
	slab->listed = true;
}

static void unlist_locked(struct slab *slab)
{
	PA_ASSERT_HELD(PA_LOCK_MEMORY);
	PA_ASSERT(slab->listed);
	if (slab->previous)
		slab->previous->next = slab->next;
	else
		state.with_room[slab->class] = slab->next;
	if (slab->next)
		slab->next->previous = slab->previous;
	slab->listed = false;
}

static bool has_slab_room(const struct slab *slab)
{
	return slab->free || slab->unused_at + slab->block_bytes <= SLAB_BYTES;
}

static void *take_block_locked(struct slab *slab)
{
	PA_ASSERT_HELD(PA_LOCK_MEMORY);
	PA_ASSERT(slab->listed && has_slab_room(slab));
	PA_ASSERT(slab->used < SLAB_BYTES / slab->block_bytes);
	struct block *block = slab->free;
	if (block) {
		slab->free = block->next;
	} else {
		block = (struct block *)((char *)slab + slab->unused_at);
		slab->unused_at += slab->block_bytes;
	}
	slab->used++;
	if (!has_slab_room(slab))
		unlist_locked(slab);
	return block;
}

static void *alloc_small_locked(size_t bytes)
{
	PA_ASSERT_HELD(PA_LOCK_MEMORY);
	unsigned class = class_of_bytes(bytes);
	PA_ASSERT(bytes <= class_bytes(class));
	struct slab *slab = state.with_room[class];
	if (!slab) {
		slab = map_slab_locked(SLAB_BYTES, class_bytes(class), class);
		if (!slab)
			return NULL;
		list_locked(slab);
	}
	return take_block_locked(slab);
}

/* Keeps one empty slab per class: without it a block that is allocated and freed repeatedly would
 * cost two system calls each time. */
static void free_small_locked(struct slab *slab, struct block *block)
{
	PA_ASSERT_HELD(PA_LOCK_MEMORY);
	PA_ASSERT(slab->used);
	block->next = slab->free;
	slab->free = block;
	slab->used--;
	if (!slab->listed)
		list_locked(slab);
	if (slab->used || (!slab->next && !slab->previous))
		return;
	unlist_locked(slab);
	unmap_slab_locked(slab);
}

/* ---- large blocks ---- */

static void *alloc_large_locked(size_t alignment, size_t bytes)
{
	PA_ASSERT_HELD(PA_LOCK_MEMORY);
	PA_ASSERT(alignment <= LARGEST_ALIGNMENT);
	size_t before = alignment > sizeof(struct slab) ? alignment : sizeof(struct slab);
	if (bytes > PTRDIFF_MAX - SLAB_BYTES - before)
		return NULL;
	struct slab *slab = map_slab_locked(before + bytes, bytes, CLASSES);
	return slab ? (char *)slab + before : NULL;
}

/* ---- public functions ---- */

static void free_locked(void *block)
{
	PA_ASSERT_HELD(PA_LOCK_MEMORY);
	struct slab *slab = slab_of(block);
	if (slab->generation != state.generation)
		return; /* on lists that were given up: see atfork_child */
	if (slab->class == CLASSES)
		unmap_slab_locked(slab);
	else
		free_small_locked(slab, block);
}

static void take_back_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_MEMORY);
	struct block *block =
		pa_load_relaxed(&state.to_free) ? pa_swap_acq_rel(&state.to_free, NULL) : NULL;
	while (block) {
		struct block *next = block->next;
		free_locked(block);
		block = next;
	}
}

void *pa_own_memory_alloc(size_t alignment, size_t bytes)
{
	bool small = bytes <= LARGEST_CLASS_BYTES && alignment <= PA_OWN_MEMORY_ALIGNMENT;
	void *block = NULL;
	if (alignment <= LARGEST_ALIGNMENT) {
		pa_lock(&state.lock);
		take_back_locked();
		block = small ? alloc_small_locked(bytes) : alloc_large_locked(alignment, bytes);
		pa_unlock(&state.lock);
	}
	if (!block)
		errno = ENOMEM;
	return block;
}

bool pa_own_memory_has(const void *block)
{
	/* Fast path: usually the first place shows that it is not the agent's. */
	uintptr_t base = (uintptr_t)slab_of(block);
	if (pa_likely(pa_load_acquire(&state.places[place_of_block(base)]) == PLACE_FREE))
		return false;
	return find_block_place(base) != PLACES;
}

size_t pa_own_memory_size(const void *block)
{
	PA_ASSERT(pa_own_memory_has(block));
	return slab_of(block)->block_bytes;
}

static void to_free(struct block *block)
{
	struct block *head = pa_load_relaxed(&state.to_free);
	/* Ends: the exchange fails only when another thread's exchange succeeds. The list is taken
	 * as a whole: no ABA. */
	do
		block->next = head;
	while (!pa_cas_acq_rel(&state.to_free, &head, block));
}

void pa_own_memory_free(void *block)
{
	PA_ASSERT(pa_own_memory_has(block));
	if (pa_thread_self.role != PA_ROLE_AGENT) {
		to_free(block);
		return;
	}
	int saved_errno = errno;
	pa_lock(&state.lock);
	free_locked(block);
	pa_unlock(&state.lock);
	errno = saved_errno;
}

void pa_own_memory_atfork_child(void)
{
	bool was_at_work = pa_load_relaxed(&state.lock.word) != 0;
	pa_lock_reset(&state.lock);
	if (!was_at_work)
		return;
	memset(state.with_room, 0, sizeof(state.with_room));
	pa_store_relaxed(&state.to_free, NULL);
	state.generation++;
}

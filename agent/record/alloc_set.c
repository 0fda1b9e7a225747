/* SPDX-License-Identifier: Apache-2.0 */
#include "alloc_set.h"

#include "../base/arena.h"
#include "../base/assert.h"
#include "../base/atomic.h"
#include "sandbox.h"

#include "../base/banned.h"

#define LEVELS 14
#define WIDEST_LEVEL 10
#define LEVEL0_BUCKETS ((size_t)64)
#define PLACES 8
#define REGION_SHIFT 8       /* PLACES of the smallest blocks of malloc(), which take 32 bytes */
#define PAGE_BUCKETS_SHIFT 6 /* buckets of a page */

/* The number above the address. */
typedef PA_ATOMIC(uintptr_t) place; /* 0 = free; acq_rel by CAS and swap */
#define NUMBER_AT 48
#define ADDRESS_MASK (((uintptr_t)1 << NUMBER_AT) - 1)

static struct {
	PA_ATOMIC(place *) levels[LEVELS]; /* release in level_at, acquire everywhere */
	PA_ATOMIC(uint32_t) level_count;   /* number of levels; statistics and a hint for lookup */
} state;

PA_INLINE size_t level_buckets(int level)
{
	return LEVEL0_BUCKETS << (level < WIDEST_LEVEL ? level : WIDEST_LEVEL);
}

PA_INLINE size_t level_bytes(int level)
{
	return level_buckets(level) * PLACES * sizeof(place);
}

/* NULL: no memory. */
static place *map_level(int level)
{
	PA_ASSERT(level >= 0 && level < LEVELS);
	place *places = NULL;
	size_t bytes = level_bytes(level);
	place *fresh = pa_map_table(bytes);
	if (!fresh)
		return NULL;
	if (pa_cas_acq_rel(&state.levels[level], &places, fresh)) {
		pa_add_relaxed(&state.level_count, 1);
		return fresh;
	}
	pa_unmap_table(fresh, bytes);
	return places;
}

static PA_COLD place *create_level(int level)
{
	if (!pa_sandbox_begin(&pa_thread_self, PA_CALLS_MAP))
		return NULL;
	place *places = map_level(level);
	pa_sandbox_end();
	return places;
}

/* The level's memory; created when create is set. NULL: does not exist, or no memory. */
PA_INLINE place *level_at(int level, bool create)
{
	PA_ASSERT(level >= 0 && level < LEVELS);
	place *places = pa_load_acquire(&state.levels[level]);
	return pa_likely(places) || !create ? places : create_level(level);
}

PA_INLINE place *bucket_of(place *places, int level, uintptr_t address)
{
	PA_ASSERT(places);
	/* Neighbours in memory, which live and end together, share a bucket, or a page of buckets:
	 * one cache miss for several. In each page the regions are in another order: objects that
	 * are all at the start of a page of memory take all buckets. Levels of one size take other
	 * bits: what shares a full bucket in one does not in the next. */
	int other = level > WIDEST_LEVEL ? 9 * (level - WIDEST_LEVEL) : 0;
	uint64_t hash = (address >> (REGION_SHIFT + PAGE_BUCKETS_SHIFT)) * 0x9e3779b97f4a7c15u;
	uint64_t region =
		(address >> REGION_SHIFT ^ hash >> (10 + other)) & ((1u << PAGE_BUCKETS_SHIFT) - 1);
	uint64_t bucket = hash >> (20 + other) << PAGE_BUCKETS_SHIFT | region;
	return places + (bucket & (level_buckets(level) - 1)) * PLACES;
}

/* Levels in the order of use: each exists only if the one before it does. */
PA_INLINE int nth_level(int n, bool widest_first)
{
	if (!widest_first)
		return n;
	return n < LEVELS - WIDEST_LEVEL ? WIDEST_LEVEL + n : LEVELS - 1 - n;
}

/* The n-th bucket in which the address may be. NULL: there are no more, or no memory. */
PA_INLINE place *nth_bucket(int n, bool widest_first, uintptr_t address, bool create)
{
	if (n >= LEVELS)
		return NULL;
	int level = nth_level(n, widest_first);
	place *places = level_at(level, create);
	return places ? bucket_of(places, level, address) : NULL;
}

void pa_alloc_set_prefetch(uintptr_t address)
{
	for (int n = 0; n < LEVELS - WIDEST_LEVEL; n++) {
		place *bucket = nth_bucket(n, true, address, false);
		if (!bucket)
			return;
		__builtin_prefetch(bucket, 1);
	}
}

bool pa_alloc_set_insert(uintptr_t address, uint32_t number)
{
	PA_ASSERT(address && number <= PA_ALLOC_SET_UNSEEN);
	uintptr_t word = address | (uintptr_t)number << NUMBER_AT;
	if (pa_unlikely(address & ~ADDRESS_MASK))
		return false;
	bool widest_first = pa_alloc_set_has_all();
	place *bucket;
	for (int n = 0; (bucket = nth_bucket(n, widest_first, address, true)); n++) {
		for (int i = 0; i < PLACES; i++) {
			uintptr_t none = pa_load_relaxed(&bucket[i]);
			if (!none && pa_cas_acq_rel(&bucket[i], &none, word))
				return true;
		}
	}
	return false;
}

int32_t pa_alloc_set_remove(uintptr_t address)
{
	PA_ASSERT(address);
	bool widest_first = pa_alloc_set_has_all();
	place *bucket;
	for (int n = 0; (bucket = nth_bucket(n, widest_first, address, false)); n++) {
		for (int i = 0; i < PLACES; i++) {
			uintptr_t found = pa_load_acquire(&bucket[i]);
			if ((found & ADDRESS_MASK) == address &&
				pa_cas_acq_rel(&bucket[i], &found, 0))
				return (int32_t)(found >> NUMBER_AT);
		}
	}
	return PA_ALLOC_SET_ABSENT;
}

void pa_alloc_set_drop_odd(void (*removed)(uintptr_t address))
{
	for (int level = 0; level < LEVELS; level++) {
		place *places = level_at(level, false);
		for (size_t i = 0; places && i < level_buckets(level) * PLACES; i++) {
			uintptr_t word = pa_load_acquire(&places[i]);
			if (word & 1 && pa_cas_acq_rel(&places[i], &word, 0))
				removed(word & ADDRESS_MASK);
		}
	}
}

void pa_alloc_set_forget_numbers(void)
{
	for (int level = 0; level < LEVELS; level++) {
		place *places = level_at(level, false);
		for (size_t i = 0; places && i < level_buckets(level) * PLACES; i++) {
			uintptr_t word = pa_load_relaxed(&places[i]);
			if (word >> NUMBER_AT != PA_ALLOC_SET_UNSEEN)
				pa_reset(&places[i], word & ADDRESS_MASK);
		}
	}
}

size_t pa_alloc_set_bytes(void)
{
	size_t bytes = 0;
	for (int level = 0; level < LEVELS; level++)
		if (pa_load_acquire(&state.levels[level]))
			bytes += level_bytes(level);
	return bytes;
}

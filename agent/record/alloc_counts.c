/* SPDX-License-Identifier: Apache-2.0 */
#include "alloc_counts.h"

#include <string.h>

#include "../arch/arch.h"
#include "../base/arena.h"
#include "../base/assert.h"
#include "../base/atomic.h"

#include "../base/banned.h"

#define SETS (32u * 1024)
#define WAYS 4

/* check: the upper 48 bits of the key's, and the number; 0: free. A torn read matches no key. */
struct entry {
	PA_ATOMIC(uint64_t) hash, check; /* relaxed */
};
#define NUMBER_MASK ((uint64_t)UINT16_MAX)

/* Of one number. On one page, so that a forked child sees no free without its allocation. */
struct count {
	PA_ATOMIC(uint64_t) made, freed; /* acq_rel */
};

/* Words of a key: pcs, and before them the size and what else belongs to it. */
#define HEAD_WORDS 4
#define KEY_WORDS (HEAD_WORDS + PA_ALLOC_COUNTS_DEPTH)

struct pa_alloc_counts {
	struct entry sets[SETS][WAYS];
	struct count counts[PA_ALLOC_COUNTS_NUMBERS + 1];
	uint64_t factors[KEY_WORDS];
	PA_ATOMIC(uint64_t) missed;     /* relaxed */
	PA_ATOMIC(uint32_t) generation; /* of keys: older ones are not found; relaxed */
	uint32_t next_way;              /* collector only */
};

_Static_assert(PA_ALLOC_COUNTS_NUMBERS < UINT16_MAX, "an entry has 16 bits for the number");
_Static_assert(sizeof(struct entry[WAYS]) == PA_CACHE_LINE, "a lookup is one cache miss");

/* splitmix64: any distinct odd-looking words will do. */
static void fill_factors(uint64_t *factors)
{
	uint64_t state = 0;
	for (int i = 0; i < KEY_WORDS; i++) {
		uint64_t z = state += 0x9e3779b97f4a7c15u;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		factors[i] = z ^ z >> 31;
	}
}

struct pa_alloc_counts *pa_alloc_counts_create(void)
{
	struct pa_alloc_counts *counts = pa_map_table(sizeof(*counts));
	if (counts)
		fill_factors(counts->factors);
	return counts;
}

size_t pa_alloc_counts_bytes(void)
{
	return sizeof(struct pa_alloc_counts);
}

/* The hash NH of UMAC (RFC 4418): one product for each two words, none depends on another. Two
 * given keys of the same length are equal in 2^-64 of all choices of the factors. */
PA_INLINE unsigned __int128 product_of(const uint64_t *factors, uint64_t first, uint64_t second)
{
	return (unsigned __int128)(first + factors[0]) * (second + factors[1]);
}

struct pa_alloc_counts_key pa_alloc_counts_key(const struct pa_alloc_counts *counts,
	const uintptr_t *pcs, uint32_t depth, bool cut, size_t bytes, uint32_t epoch)
{
	PA_ASSERT(depth <= PA_ALLOC_COUNTS_DEPTH);
	const uint64_t *factors = counts->factors;
	unsigned __int128 sum = product_of(factors, bytes, depth << 1 | cut) +
		product_of(factors + 2, epoch, pa_load_relaxed(&counts->generation));
	factors += HEAD_WORDS;
	uint32_t i = 0;
	for (; i + 1 < depth; i += 2)
		sum += product_of(factors + i, pcs[i], pcs[i + 1]);
	if (i < depth)
		sum += product_of(factors + i, pcs[i], 0);
	uint64_t low = (uint64_t)sum, high = (uint64_t)(sum >> 64);
	return (struct pa_alloc_counts_key){ low ^ high * 0x9e3779b97f4a7c15u, high };
}

PA_INLINE uint32_t set_of(struct pa_alloc_counts_key key)
{
	return (key.hash ^ key.hash >> 32) & (SETS - 1);
}

void pa_alloc_counts_prefetch(const struct pa_alloc_counts *counts, struct pa_alloc_counts_key key)
{
	__builtin_prefetch(counts->sets[set_of(key)]);
}

PA_INLINE uint32_t entry_number(const struct entry *entry, struct pa_alloc_counts_key key)
{
	uint64_t check = pa_load_relaxed(&entry->check);
	if (pa_load_relaxed(&entry->hash) != key.hash || (check ^ key.check) & ~NUMBER_MASK)
		return 0;
	return check & NUMBER_MASK;
}

uint32_t pa_alloc_counts_find(const struct pa_alloc_counts *counts, struct pa_alloc_counts_key key)
{
	const struct entry *set = counts->sets[set_of(key)];
	for (int way = 0; way < WAYS; way++) {
		uint32_t number = entry_number(&set[way], key);
		if (number)
			return number;
	}
	return 0;
}

static void set_entry(struct entry *entry, struct pa_alloc_counts_key key, uint32_t number)
{
	pa_store_relaxed(&entry->check, 0);
	pa_store_relaxed(&entry->hash, key.hash);
	pa_store_release(&entry->check, (key.check & ~NUMBER_MASK) | number);
}

void pa_alloc_counts_publish(struct pa_alloc_counts *counts, struct pa_alloc_counts_key key,
	uint32_t number)
{
	PA_ASSERT(number && number <= PA_ALLOC_COUNTS_NUMBERS);
	if (pa_alloc_counts_find(counts, key))
		return;
	struct entry *set = counts->sets[set_of(key)];
	int way = 0;
	while (way < WAYS && pa_load_relaxed(&set[way].check) & NUMBER_MASK)
		way++;
	set_entry(way < WAYS ? &set[way] : &set[counts->next_way++ % WAYS], key, number);
}

void pa_alloc_counts_forget_keys(struct pa_alloc_counts *counts)
{
	pa_add_relaxed(&counts->generation, 1);
}

PA_INLINE struct count *count_of(struct pa_alloc_counts *counts, uint32_t number)
{
	PA_ASSERT(number && number <= PA_ALLOC_COUNTS_NUMBERS);
	return &counts->counts[number];
}

void pa_alloc_counts_made(struct pa_alloc_counts *counts, uint32_t number)
{
	pa_add_acq_rel(&count_of(counts, number)->made, 1);
}

void pa_alloc_counts_freed(struct pa_alloc_counts *counts, uint32_t number)
{
	pa_add_acq_rel(&count_of(counts, number)->freed, 1);
}

void pa_alloc_counts_revived(struct pa_alloc_counts *counts, uint32_t number)
{
	pa_sub_acq_rel(&count_of(counts, number)->freed, 1);
}

void pa_alloc_counts_missed(struct pa_alloc_counts *counts, uint32_t number)
{
	pa_alloc_counts_freed(counts, number);
	pa_add_relaxed(&counts->missed, 1);
}

/* Most numbers have nothing new, and a swap writes. */
static int64_t take_count(PA_ATOMIC(uint64_t) *count)
{
	return pa_load_acquire(count) ? (int64_t)pa_swap_acq_rel(count, 0) : 0;
}

struct pa_alloc_counts_taken pa_alloc_counts_take(struct pa_alloc_counts *counts, uint32_t number)
{
	struct count *count = count_of(counts, number);
	struct pa_alloc_counts_taken taken = { .freed = take_count(&count->freed) };
	/* Read later: it has the allocations of all these frees. */
	taken.made = take_count(&count->made);
	return taken;
}

uint64_t pa_alloc_counts_take_missed(struct pa_alloc_counts *counts)
{
	return (uint64_t)take_count(&counts->missed);
}

void pa_alloc_counts_abandon(struct pa_alloc_counts *counts)
{
	pa_alloc_counts_forget_keys(counts);
	for (uint32_t number = 1; number <= PA_ALLOC_COUNTS_NUMBERS; number++) {
		pa_reset(&counts->counts[number].made, 0);
		pa_reset(&counts->counts[number].freed, 0);
	}
	pa_reset(&counts->missed, 0);
}

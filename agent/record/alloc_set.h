/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact set of the addresses of recorded objects, each with a number that says how its free is
 * recorded. alloc.c has one set, and sees to it that no address is in it twice.
 *
 * Levels of doubling size, each of buckets of one cache line. An address belongs to one bucket per
 * level; insertion takes the first level with a free place, lookup looks at one line per level that
 * exists. No tombstones, no rehash. Level 0 has 4 KiB, those from level 10 on have 4 MiB: 14 levels
 * have 2.6 M places in 20 MiB; of 2.3 M objects fewer than 1 in 100 have none.
 *
 * Samples are few: they take the small levels first. Of all objects most would be behind several
 * full levels, each one cache miss: at rate 1 the widest levels come first.
 *
 * Context: as marked. No lock. Full: pa_alloc_set_insert.
 */
#ifndef PA_ALLOC_SET_H
#define PA_ALLOC_SET_H

#include "alloc_counts.h"
#include "switches.h"

/* Numbers. All others are those of alloc_counts.h, whose count the free belongs to. */
#define PA_ALLOC_SET_EVENT 0           /* by an event, as the allocation was */
#define PA_ALLOC_SET_UNSEEN UINT16_MAX /* the collector knows nothing of the object */
#define PA_ALLOC_SET_ABSENT (-1)       /* pa_alloc_set_remove: it is not in the set */

_Static_assert(PA_ALLOC_COUNTS_NUMBERS < PA_ALLOC_SET_UNSEEN, "numbers have 16 bits");

/* Every object is in the set that there is room for. */
PA_INLINE bool pa_alloc_set_has_all(void)
{
	return pa_record.heap_rate_bytes <= 1;
}

/* False: there is no place (14 levels, or no memory), or the address is beyond those of
 * programs. */
PA_APP bool pa_alloc_set_insert(uintptr_t address, uint32_t number);

/* Removes the address. Returns its number, or PA_ALLOC_SET_ABSENT. */
PA_APP int32_t pa_alloc_set_remove(uintptr_t address);

/* At rate 1: begins to load what the two functions above look at first. */
PA_APP void pa_alloc_set_prefetch(uintptr_t address);

/* Removes the addresses with bit 0 set, and calls removed with each. */
PA_APP void pa_alloc_set_drop_odd(void (*removed)(uintptr_t address));

/* All numbers but PA_ALLOC_SET_UNSEEN become PA_ALLOC_SET_EVENT. */
PA_BOOT void pa_alloc_set_forget_numbers(void);

/* Bytes mapped. Statistics only. */
PA_SIGNAL size_t pa_alloc_set_bytes(void);

#endif

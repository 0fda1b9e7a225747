/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table of the agent's large mappings, of both shared objects: mlockall(2) of a program locks its
 * own memory, and must not lock the agent's, which would count against RLIMIT_MEMLOCK.
 *
 * libpprofagent.so owns the table; the core joins it. No mapping of the program reuses an address
 * from it after the unmap (see pa_map_place), so a walk that meets a stale entry does no harm.
 *
 * Context: PA_SIGNAL unless stated otherwise. No lock; errno kept. When the table is full, further
 * mappings stay locked with the program's memory.
 */
#ifndef PA_OWN_MAPS_H
#define PA_OWN_MAPS_H

#include "atomic.h"
#include "base.h"

#define PA_OWN_MAPS 1024

/* Smaller mappings get no entry. */
#define PA_OWN_MAPS_LEAST_BYTES ((size_t)32 << 10)

struct pa_own_map {
	PA_ATOMIC(uintptr_t) start; /* 0: free; acq_rel by CAS */
	PA_ATOMIC(size_t) bytes;    /* relaxed; 0 while start changes */
};

struct pa_own_maps {
	void (*unlock)(void *memory, size_t bytes); /* NULL: no action needed */
	PA_ATOMIC(uint32_t) locked; /* the program locks its memory (mlockall); release / acquire */
	PA_ATOMIC(uint32_t) used;   /* entries ever used, from the first on; relaxed */
	PA_ATOMIC(uintptr_t) placed_bytes; /* address space that pa_map_place handed out; relaxed */
	struct pa_own_map maps[PA_OWN_MAPS];
};

/* The table of this object until it joins another one. */
PA_SIGNAL struct pa_own_maps *pa_own_maps(void);
PA_BOOT void pa_own_maps_join(struct pa_own_maps *maps);

/* True while the program locks its memory: unlock each new mapping at once. */
PA_SIGNAL bool pa_own_maps_are_locked(void);

/* Enters a mapping. */
PA_SIGNAL void pa_own_maps_add(void *memory, size_t bytes);

/* Before the mapping, its beginning or its end is unmapped. */
PA_SIGNAL void pa_own_maps_remove(const void *memory, size_t bytes);

/* munlocks memory that has no entry. */
PA_SIGNAL void pa_own_maps_unlock(void *memory, size_t bytes);

/* munlocks the memory of all entries. */
PA_APP void pa_own_maps_unlock_all(void);

#endif

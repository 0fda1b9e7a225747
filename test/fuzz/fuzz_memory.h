/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for agent/modules/maps_memory.c: the one piece of memory that can be read is the
 * input's, and it lies at MEMORY_AT. Included by one file of a target.
 */
#ifndef FUZZ_MEMORY_H
#define FUZZ_MEMORY_H

#include <errno.h>

#include "agent/modules/maps.h"

#define MEMORY_AT ((uintptr_t)0x10000000)
/* More than one look-up needs, or has time for. */
#define MEMORY_READS_MAX 4000000

static struct {
	const uint8_t *bytes;
	size_t count, reads;
} memory;

static inline void memory_set(const uint8_t *bytes, size_t count)
{
	memory.bytes = bytes;
	memory.count = count;
	memory.reads = 0;
}

bool pa_maps_read_memory(void *to, uintptr_t from, size_t bytes)
{
	uintptr_t at = from - MEMORY_AT;

	must(++memory.reads < MEMORY_READS_MAX);
	if (at > memory.count || bytes > memory.count - at)
		return false;
	if (bytes)
		memcpy(to, memory.bytes + at, bytes);
	return true;
}

bool pa_maps_read_cached(void *to, uintptr_t from, size_t bytes)
{
	return pa_maps_read_memory(to, from, bytes);
}

void pa_maps_forget_pages(void)
{
}

int pa_maps_open(const char *path)
{
	(void)path;
	return -ENOENT;
}

#endif

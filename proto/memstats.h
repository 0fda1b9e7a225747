/*
 * What the process's memory looks like: the native meaning of the names that Go's text form of the
 * heap ends with.
 *
 * Context: PA_AGENT. Cost: mallinfo2 walks all free chunks of glibc's heaps, 15 to 100 ns each, and
 * holds each arena's lock over it; so only where a person asked for the text.
 */
#ifndef PA_MEMSTATS_H
#define PA_MEMSTATS_H

#include "../agent/base/base.h"

/* All in bytes; what could not be read is 0. */
struct pa_memstats {
	bool heap_known; /* the program's allocator is glibc's: heap_* are true */
	uint64_t heap_sys;   /* obtained from the kernel: arenas and single mappings */
	uint64_t heap_idle;  /* of it: free chunks */
	uint64_t sys;        /* private writable memory of the process */
	uint64_t rss;
	uint64_t max_rss;
	uint64_t profiler;   /* of the agent's tables */
};

PA_AGENT void pa_memstats_read(struct pa_memstats *stats);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of the process, for the runtime.MemStats lines at the end of Go's text form of the heap.
 *
 * Context: PA_AGENT. No lock.
 */
#ifndef PA_MEMSTATS_H
#define PA_MEMSTATS_H

#include "../base/base.h"

/* All in bytes; 0 if unreadable. */
struct pa_memstats {
	bool heap_known;    /* heap_* are valid */
	uint64_t heap_sys;  /* obtained from the kernel: arenas and single mappings */
	uint64_t heap_idle; /* free chunks in heap_sys */
	uint64_t sys;       /* private writable memory of the process */
	uint64_t rss;
	uint64_t max_rss;
	uint64_t profiler; /* tables of the agent */
};

/* All but heap_*. */
PA_AGENT void pa_memstats_read(struct pa_memstats *stats);

/*
 * Adds heap_*, if the program's allocator is glibc's. mallinfo2() walks all free chunks, 15 to 400
 * ns each, and holds each arena's lock meanwhile: threads of the program that allocate wait for
 * it. Only where the client asked for work of the allocator (gc=1).
 */
PA_AGENT void pa_memstats_read_heap(struct pa_memstats *stats);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for the time of one request: regions from pa_map, of which some are kept for the next
 * request. To map and unmap a region costs more than a small profile needs for its use: munmap(2)
 * flushes the TLB of each processor on which a thread of the program runs, and each page of a new
 * region takes a page fault.
 *
 * Context: PA_APP, any thread. No lock: regions are taken and kept by swap and CAS, so that a
 * forked child has each one whole. Kept regions count in pa_map_bytes. Capacity: 12 of 16 KiB and 2
 * of 32 KiB, of which only pages that were written to have memory; others are unmapped.
 */
#ifndef PA_KEPT_PAGES_H
#define PA_KEPT_PAGES_H

#include "base.h"

/* Larger regions are not kept. */
#define PA_KEPT_PAGES_LARGEST_BYTES ((size_t)32 << 10)

/* Zeroed. NULL: no memory. */
PA_APP void *pa_kept_pages_map(size_t bytes);

/* memory: of pa_kept_pages_map with the same number of bytes, or NULL. */
PA_APP void pa_kept_pages_unmap(void *memory, size_t bytes);

/* Unmaps the regions that are kept: any thread, at any time. */
PA_AGENT void pa_kept_pages_trim(void);

#endif

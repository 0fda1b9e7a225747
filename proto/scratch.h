/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Temporary memory of an encoder: one region of kept_pages.h that grows by doubling.
 *
 * Context: PA_AGENT, one thread for each region. No lock. The contents move when it grows: keep
 * offsets, not pointers. New bytes are zero. The owner calls pa_scratch_free.
 */
#ifndef PA_SCRATCH_H
#define PA_SCRATCH_H

#include "../agent/base/base.h"

struct pa_scratch {
	void *at; /* NULL: empty */
	size_t bytes;
};

/* Ensures at least need bytes. False: out of memory; the region is unchanged. */
PA_AGENT bool pa_scratch(struct pa_scratch *region, size_t need);

PA_AGENT void pa_scratch_free(struct pa_scratch *region);

#endif

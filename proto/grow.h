/*
 * Temporary memory of an encoder: one region straight from the kernel that grows by doubling.
 *
 * Context: PA_AGENT, one thread. What is in the region moves when it grows: keep offsets, not
 * pointers. New bytes are zero. The owner calls pa_grow_free.
 */
#ifndef PA_GROW_H
#define PA_GROW_H

#include "../agent/base/base.h"

struct pa_grow {
	void *at; /* NULL: nothing yet */
	size_t bytes;
};

/* At least need bytes from now on. False: out of memory, and the region is as it was. */
PA_AGENT bool pa_grow(struct pa_grow *region, size_t need);

PA_AGENT void pa_grow_free(struct pa_grow *region);

#endif

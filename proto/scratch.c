/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <string.h>

#include "../agent/arch/arch.h"
#include "../agent/base/arena.h"
#include "../agent/base/atomic.h"

#define SMALLEST_BYTES ((size_t)16 << 10)
/* As many as the encoder of a profile has at once. */
#define KEPT 6

static struct {
	/* Zeroed regions of SMALLEST_BYTES, or NULL; acq_rel by swap and CAS, so a forked child has
	 * whole entries. */
	PA_ATOMIC(void *) kept[KEPT];
} state;

static void *map_region(size_t bytes)
{
	void *region = NULL;

	for (size_t i = 0; bytes == SMALLEST_BYTES && i < KEPT && !region; i++) {
		if (pa_load_relaxed(&state.kept[i]))
			region = pa_swap_acq_rel(&state.kept[i], NULL);
	}
	return region ? region : pa_map(bytes);
}

/* Pages that were not written to stay without memory. */
static void zero_used(char *region, size_t bytes)
{
	for (char *page = region; page < region + bytes; page += PA_PAGE_BYTES) {
		if (page[0] || memcmp(page, page + 1, PA_PAGE_BYTES - 1) != 0)
			memset(page, 0, PA_PAGE_BYTES);
	}
}

static void unmap_region(void *region, size_t bytes)
{
	if (bytes == SMALLEST_BYTES)
		zero_used(region, bytes);
	for (size_t i = 0; bytes == SMALLEST_BYTES && i < KEPT; i++) {
		void *none = NULL;
		if (pa_cas_acq_rel(&state.kept[i], &none, region))
			return;
	}
	pa_unmap(region, bytes);
}

PA_AGENT void pa_scratch_trim(void)
{
	for (size_t i = 0; i < KEPT; i++)
		pa_unmap(pa_swap_acq_rel(&state.kept[i], NULL), SMALLEST_BYTES);
}

PA_AGENT bool pa_scratch(struct pa_scratch *region, size_t need)
{
	size_t bytes = region->bytes ? region->bytes : SMALLEST_BYTES;
	void *bigger;

	if (pa_likely(need <= region->bytes))
		return true;
	while (bytes < need) {
		if (bytes > PTRDIFF_MAX / 2)
			return false;
		bytes *= 2;
	}
	bigger = map_region(bytes);
	if (!bigger)
		return false;
	if (region->at) {
		memcpy(bigger, region->at, region->bytes);
		unmap_region(region->at, region->bytes);
	}
	region->at = bigger;
	region->bytes = bytes;
	return true;
}

PA_AGENT void pa_scratch_free(struct pa_scratch *region)
{
	if (region->at)
		unmap_region(region->at, region->bytes);
	*region = (struct pa_scratch){ 0 };
}

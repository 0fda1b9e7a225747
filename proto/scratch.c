/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <string.h>

#include "../agent/base/kept_pages.h"

#define SMALLEST_BYTES ((size_t)16 << 10)

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
	bigger = pa_kept_pages_map(bytes);
	if (!bigger)
		return false;
	if (region->at) {
		memcpy(bigger, region->at, region->bytes);
		pa_kept_pages_unmap(region->at, region->bytes);
	}
	region->at = bigger;
	region->bytes = bytes;
	return true;
}

PA_AGENT void pa_scratch_free(struct pa_scratch *region)
{
	if (region->at)
		pa_kept_pages_unmap(region->at, region->bytes);
	*region = (struct pa_scratch){ 0 };
}

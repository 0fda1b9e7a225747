/* SPDX-License-Identifier: Apache-2.0 */
#include "wiped_pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "../arch/arch.h"
#include "../base/assert.h"
#include "lock_waits.h"
#include "switches.h"
#include "trace_events.h"

#include "../base/banned.h"

struct pages {
	void *at;
	size_t bytes;
};

/* Without it children of raw clone(2) would continue recording as this process. */
static bool give_to_kernel(const struct pages *pages)
{
	return madvise(pages->at, pages->bytes, MADV_WIPEONFORK) == 0;
}

/* The range from the first to the last, if nothing else is in between; otherwise 0 bytes. */
static struct pages joined_pages(const struct pages *pages, size_t count)
{
	uintptr_t low = UINTPTR_MAX, high = 0;
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++) {
		uintptr_t at = (uintptr_t)pages[i].at;

		low = at < low ? at : low;
		high = at + pages[i].bytes > high ? at + pages[i].bytes : high;
		bytes += pages[i].bytes;
	}
	PA_ASSERT(low % PA_PAGE_BYTES == 0 && high - low >= bytes);
	return (struct pages){ (void *)low, high - low == bytes ? bytes : 0 };
}

bool pa_wiped_pages_boot(void)
{
	const struct pages pages[] = { { &pa_switches_page, sizeof(pa_switches_page) },
		{ pa_lock_waits_table, sizeof(pa_lock_waits_table) },
		{ pa_trace_events_places, sizeof(pa_trace_events_places) } };
	const struct pages all = joined_pages(pages, PA_COUNT(pages));

	if (all.bytes && !give_to_kernel(&all))
		return false;
	for (size_t i = 0; !all.bytes && i < PA_COUNT(pages); i++) {
		if (!give_to_kernel(&pages[i]))
			return false;
	}
	pa_switches_begin();
	return true;
}

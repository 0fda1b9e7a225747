/* SPDX-License-Identifier: Apache-2.0 */
#include "switches.h"

#include <sys/mman.h>

#include "../arch/arch.h"

#include "../base/banned.h"

static struct pa_switches all_off;
struct pa_switches *pa_switches = &all_off;
struct pa_record pa_record;

bool pa_switches_boot(void)
{
	void *page = mmap(NULL, PA_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	if (page == MAP_FAILED)
		return false;
	if (madvise(page, PA_PAGE_BYTES, MADV_WIPEONFORK) != 0) {
		/* MADV_WIPEONFORK needs Linux 4.14: without it children of raw clone(2) would
		 * continue recording as this process. */
		munmap(page, PA_PAGE_BYTES);
		return false;
	}
	pa_switches = page;
	return true;
}

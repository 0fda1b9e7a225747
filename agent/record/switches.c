/* SPDX-License-Identifier: Apache-2.0 */
#include "switches.h"

#include <sys/mman.h>

#include "../arch/arch.h"

#include "../base/banned.h"

static PA_WIPED union {
	struct pa_switches switches;
	char page[PA_PAGE_BYTES];
} own_page __attribute__((aligned(PA_PAGE_BYTES)));
static struct pa_switches all_off;
struct pa_switches *pa_switches = &all_off;
struct pa_record pa_record;

bool pa_switches_boot(void)
{
	/* MADV_WIPEONFORK needs Linux 4.14: without it children of raw clone(2) would continue
	 * recording as this process. */
	if (madvise(&own_page, sizeof(own_page), MADV_WIPEONFORK) != 0)
		return false;
	/* The first access writes: a read would fault once more. */
	pa_store_relaxed(&own_page.switches.inert, 0);
	pa_switches = &own_page.switches;
	return true;
}

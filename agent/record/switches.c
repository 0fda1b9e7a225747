/* SPDX-License-Identifier: Apache-2.0 */
#include "switches.h"

#include "../base/banned.h"

PA_WIPED union pa_switches_page pa_switches_page __attribute__((aligned(PA_PAGE_BYTES)));
static struct pa_switches all_off;
struct pa_switches *pa_switches = &all_off;
struct pa_record pa_record;

void pa_switches_begin(void)
{
	/* The first access writes: a read would fault once more. */
	pa_store_relaxed(&pa_switches_page.switches.inert, 0);
	pa_switches = &pa_switches_page.switches;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridge to the recording side, shared by all files of the core object.
 * Context: PA_AGENT. No lock. pa_core_main sets it once, before any other code of the core runs.
 */
#ifndef PA_CORE_H
#define PA_CORE_H

#include "bridge.h"

extern struct pa_bridge *pa_core_bridge;

/* See loader_enter in bridge.h. */
PA_INLINE void pa_core_loader_enter(void)
{
	if (pa_core_bridge && pa_core_bridge->loader_enter)
		pa_core_bridge->loader_enter();
}

PA_INLINE void pa_core_loader_leave(void)
{
	if (pa_core_bridge && pa_core_bridge->loader_leave)
		pa_core_bridge->loader_leave();
}

#endif

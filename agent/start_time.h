/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When this process began: at boot, or in a forked child.
 *
 * Context: PA_APP. No lock.
 */
#ifndef PA_START_TIME_H
#define PA_START_TIME_H

#include "core/bridge.h"

/* Writes the start of the process and the time from which its port is served, delay_ns later. */
PA_APP void pa_start_time_note(struct pa_bridge *bridge, int64_t delay_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of agent/: whether this process is profiled, and its settings.
 *
 * Context: PA_APP, any thread of the program, not in signal handlers. No lock.
 */
#ifndef PA_AGENT_H
#define PA_AGENT_H

#include "core/bridge.h"

/* True when this process is profiled. */
PA_APP bool pa_agent_is_active(void);

/* Sets the rates, as in struct pa_settings, from now on. */
PA_APP void pa_agent_set_rates(uint64_t block_rate_ns, uint64_t mutex_fraction);
PA_APP const struct pa_settings *pa_agent_settings(void);

#endif

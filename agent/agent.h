/*
 * What the files of agent/ itself share: the bridge, and whether the core is at work.
 *
 * Context: PA_APP, any thread of the program, not in signal handlers.
 */
#ifndef PA_AGENT_H
#define PA_AGENT_H

#include "record/bridge.h"

/* How long a call of the program waits for the core, which opens up to 250 ms after the start. */
#define PA_AGENT_PATIENCE_NS (3 * PA_NS_PER_S)

/* This process is profiled. */
PA_APP bool pa_agent_is_active(void);

/* The bridge whose api can be called; NULL when the core did not come within timeout_ns. */
PA_APP const struct pa_bridge *pa_agent_core(int64_t timeout_ns);

/* Our threads leave: until the core is ready again pa_agent_core waits for it. */
PA_APP void pa_agent_core_is_away(void);
/* They will not come back: nothing is recorded any more. */
PA_APP void pa_agent_is_over(void);

/* Rates as in struct pa_settings, from here on. */
PA_APP void pa_agent_set_rates(uint64_t block_rate_ns, uint64_t mutex_fraction);
PA_APP const struct pa_settings *pa_agent_settings(void);

#endif

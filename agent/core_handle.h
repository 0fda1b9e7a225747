/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of the core: ready from when its functions (struct pa_bridge, api) can be called until the
 * agent's threads have ended.
 *
 * Context: PA_APP, any thread of the program, not in signal handlers. No lock (futex).
 */
#ifndef PA_CORE_HANDLE_H
#define PA_CORE_HANDLE_H

#include "core/bridge.h"

/* How long a call of the program waits for the core, which opens up to 250 ms after the start. */
#define PA_CORE_HANDLE_TIMEOUT_NS (3 * PA_NS_PER_S)

PA_BOOT void pa_core_handle_boot(const struct pa_bridge *bridge);

/* The bridge when its api can be called; NULL when the core was not ready within timeout_ns. */
PA_APP const struct pa_bridge *pa_core_handle_await(int64_t timeout_ns);
PA_APP bool pa_core_handle_is_ready(void);

/* The core is ready: wakes waiting threads. */
PA_AGENT void pa_core_handle_ready(void);
/* The agent's threads end: pa_core_handle_await waits until the core is ready again. */
PA_APP void pa_core_handle_suspended(void);
/* The agent's threads have ended for good: hooks stop recording, waits end. */
PA_APP void pa_core_handle_over(void);

/* In a forked child. wanted: the core will be opened there. */
PA_BOOT void pa_core_handle_atfork_child(bool wanted);

#endif

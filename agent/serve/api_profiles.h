/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles requested by the program itself: the functions of pprofagent.h, and the files written at
 * exit.
 *
 * Context: PA_APP, called through the bridge on the program's threads. The caller waits while the
 * collector takes the snapshot and the render thread encodes it; a render thread is started if
 * there is none. Returns -ETIMEDOUT if the render queue stays full, -ENOMEM without memory. Takes
 * the locks of render_thread.h. The bytes passed to the caller's write function are valid during
 * that call only.
 */
#ifndef PA_API_PROFILES_H
#define PA_API_PROFILES_H

#include "../base/base.h"

/* Runs the render thread on the calling thread, after pa_render_thread_claim. is_over as in
 * pa_render_thread_run. */
PA_AGENT void pa_api_profiles_render(bool (*is_over)(void));

/* Makes the render thread, or one that is started for it, do its idle work. Does not wait. */
PA_AGENT void pa_api_profiles_idle_soon(void);

/* Fills pa_core_bridge->api, and claims the CPU profile that is written at exit: to be called
 * before a request can ask for one. */
PA_AGENT void pa_api_profiles_init(void);

#endif

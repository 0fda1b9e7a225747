/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launchers, which are not profiled and pass the agent on: what they tell the programs that they
 * start, by the environment.
 *
 * Context: PA_BOOT, in the constructor. No lock.
 */
#ifndef PA_PASS_ON_H
#define PA_PASS_ON_H

#include "base/env.h"

/* Where libc is too old or the core is missing, the first launcher says it once for all programs.
 * Else a shell sets the marker of shells. No effect in other programs. */
PA_BOOT void pa_pass_on(const struct pa_settings *settings);

#endif

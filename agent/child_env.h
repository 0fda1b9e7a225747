/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environment variables for exec'ed children.
 *
 * Context: PA_BOOT, in the constructor, where no other code uses the environment.
 * No lock.
 */
#ifndef PA_CHILD_ENV_H
#define PA_CHILD_ENV_H

#include "base/base.h"

/* Sets the marker by which exec'ed children find that their parent had the agent; shell: the parent
 * is an inert shell. */
PA_BOOT void pa_child_env_mark(bool shell);

/* Sets it to a number that no process has: that the agent does not work here has been said. */
PA_BOOT void pa_child_env_told(void);

/* PPROFAGENT_CHILDREN=off: removes the agent from LD_PRELOAD, in place. */
PA_BOOT void pa_child_env_leave_preload(void);

#endif

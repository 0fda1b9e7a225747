/*
 * What the environment tells exec'ed children of us.
 *
 * Context: PA_BOOT, in the constructor: nobody else uses the environment then.
 */
#ifndef PA_CHILDREN_H
#define PA_CHILDREN_H

#include "base/base.h"

/* The marker by which exec'ed children know that they are some; shell: of an inert one. */
PA_BOOT void pa_children_mark(bool shell);

/* PPROFAGENT_CHILDREN=off: takes our entries out of LD_PRELOAD, in place. */
PA_BOOT void pa_children_leave_preload(void);

#endif

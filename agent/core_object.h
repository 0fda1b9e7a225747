/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core: a file in the directory of this object, which the agent's first thread opens. Where it
 * cannot be used, the first program says so in one line; a launcher says it for all that it starts.
 *
 * The caller of pa_core_object_open_locked holds PA_LOCK_LOAD.
 */
#ifndef PA_CORE_OBJECT_H
#define PA_CORE_OBJECT_H

#include "core/bridge.h"

typedef int pa_core_object_main(struct pa_bridge *);

/* False: the directory is unknown. */
PA_BOOT bool pa_core_object_find(void);

/* False, and a line: the file is not there, or cut short. In a launcher, which opens nothing. */
PA_BOOT bool pa_core_object_is_there(bool may_say);

/* The entry point; NULL, and a line where may_say. */
PA_AGENT pa_core_object_main *pa_core_object_open_locked(bool may_say);

#endif

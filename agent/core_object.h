/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core: a file in the directory of this object, which the agent's first thread opens. Where it
 * cannot be used, the first program says so in one line; a launcher says it for all that it starts.
 *
 * The caller of pa_core_object_open_locked holds PA_LOCK_LOAD.
 */
#ifndef PA_CORE_OBJECT_H
#define PA_CORE_OBJECT_H

#include "base/env.h"
#include "core/bridge.h"

typedef int pa_core_object_main(struct pa_bridge *);

/* False: the directory is unknown. */
PA_BOOT bool pa_core_object_find(void);

/* False, and a line: the file is not there, or cut short. In a launcher, which opens nothing. */
PA_BOOT bool pa_core_object_is_there(bool may_say);

/*
 * At boot, before the program maps anything: keeps room, in which the loader maps the core later.
 * The kernel takes the highest place that has room, and places above this one are too small. A
 * program with one thread may have unmapped the place that the kernel would take otherwise, to map
 * something else there (MAP_FIXED), and would replace the core.
 */
PA_BOOT void pa_core_object_reserve(void);

/* The entry point; NULL, and a line unless log is off, or the program's own limit of memory is the
 * cause. */
PA_AGENT pa_core_object_main *pa_core_object_open_locked(enum pa_env_log log);

#endif

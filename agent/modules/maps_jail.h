/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files kept open for the time after a chroot(2) of the program, which the agent's threads follow.
 *
 * Code in the jail can reach descriptors of the agent's threads. So these keep only regular files,
 * which give access to nothing else: the list of mappings, the executable, and mapped files.
 *
 * Context: PA_AGENT. No lock.
 */
#ifndef PA_MAPS_JAIL_H
#define PA_MAPS_JAIL_H

#include "../base/base.h"

/* Opens them. From now on pa_maps_open returns only these: files in the jail have the names of
 * those outside but are others. Call from one thread; the others continue meanwhile. */
PA_AGENT void pa_maps_enter_jail(void);

/* After the agent's threads were suspended, which closed their descriptors: the new threads are in
 * no jail. Also in a forked child. */
PA_AGENT void pa_maps_leave_jail(void);

PA_API bool pa_maps_is_jailed(void);

/* A descriptor of the file with that name, for reading; -ENOENT: it was not mapped. */
PA_API int pa_maps_open_held(const char *path);

#endif

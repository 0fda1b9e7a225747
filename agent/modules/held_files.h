/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of libraries kept open, so that their code can be named after the program has unloaded
 * them, and has deleted or replaced the file.
 *
 * A file is opened when the first location is in it, while the library is mapped: until it is
 * unloaded the descriptor keeps nothing alive that the mapping does not. A file that may go away
 * earlier is opened when the program opens it. Files on mounts of their own are not held, because
 * the program may unmount them. Modules of one file share a descriptor. The descriptors are in the
 * agent's own table, at numbers above those that the agent
 * works with; without such a table none is held.
 *
 * Context: PA_AGENT. Lock: PA_LOCK_FILES. When full (PA_HELD_FILES_MAX; half as many for libraries
 * that were there at the start, which are hardly ever unloaded): the file is not held, and is found
 * by its path as long as it is there.
 */
#ifndef PA_HELD_FILES_H
#define PA_HELD_FILES_H

#include "maps.h"

#define PA_HELD_FILES_MAX 64

/* At the start, in a forked child and after the agent's threads were suspended: no descriptor of
 * earlier exists any more, and none is held until pa_held_files_begin. */
PA_BOOT void pa_held_files_reset(void);

/* Files may be held from now on. Opens those of libraries with locations. count (may be NULL) is
 * kept at the number of files of libraries that came after the start; relaxed. */
PA_AGENT void pa_held_files_begin(PA_ATOMIC(uint32_t) *count);

/*
 * The program opens the file at that path, and may delete it or close its descriptor before the
 * first location is in it: opens it now. time_ns as of the event. The collector only.
 */
PA_AGENT void pa_held_files_announce(const char *path, int64_t time_ns);

/*
 * Closes announced files after a while. True: one of them was deleted, so it must be found among
 * the modules first: read the maps anew, and call again with settle. The collector only.
 */
PA_AGENT bool pa_held_files_expire(int64_t now_ns, bool settle);

/* The first location is in the module. at_start: it was found by the first reading of the maps.
 * The collector only. */
PA_AGENT void pa_held_files_hold(struct pa_module *module, bool at_start);

/* A duplicate of the module's descriptor, or -ENOENT. The caller closes it. */
PA_AGENT int pa_held_files_open(const struct pa_module *module);

/* The module's names are known: closes its file unless another module needs it. */
PA_AGENT void pa_held_files_release(struct pa_module *module);

/* Number of files held. */
PA_AGENT uint32_t pa_held_files_count(void);

#endif

/*
 * Files for the time after a chroot of the program, which our threads follow into its jail.
 *
 * Code in the jail can reach the descriptors of our threads. So what they keep are plain files, by
 * which nothing else can be opened: the list of mappings, the executable, and what is mapped.
 *
 * Context: PA_AGENT.
 */
#ifndef PA_MAPS_JAIL_H
#define PA_MAPS_JAIL_H

#include "../base/base.h"

/* Opens them. From now on pa_maps_open gives these and no others: files in the jail have the names
 * of those outside, and are not them. One thread; the others go on meanwhile. */
PA_AGENT void pa_maps_enter_jail(void);

/* Our threads were away, and with them their descriptors; where they are now there is no jail that
 * they would have gone into. In a forked child as well. */
PA_AGENT void pa_maps_leave_jail(void);

PA_AGENT bool pa_maps_is_jailed(void);

/* A descriptor of the file of that name, for reading; -ENOENT: it was not mapped. */
PA_AGENT int pa_maps_open_held(const char *path);

#endif

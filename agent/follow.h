/*
 * Our threads give up what the program gives up.
 *
 * Capabilities, no_new_privs and the like belong to a thread: when the only thread of the program
 * lets them go, ours would keep them. So each of ours makes the same call, at its next wait. The
 * root directory is one for all of ours, as it is for the program's threads.
 *
 * pa_process_follow is in record/process.h, for the hooks.
 */
#ifndef PA_FOLLOW_H
#define PA_FOLLOW_H

#include "base/seat.h"
#include "record/bridge.h"

PA_BOOT void pa_follow_boot(struct pa_bridge *bridge, struct pa_seat_table *table);

/* Our first thread starts again, with what its creator has: root is the program's, or not. */
PA_AGENT void pa_follow_begin(bool root_private);

#endif

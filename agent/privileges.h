/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agent threads give up the privileges that the program gives up.
 *
 * Capabilities, no_new_privs and similar attributes belong to a thread: when the program's only
 * thread drops them, agent threads would keep them. So each agent thread makes the same call, at
 * its next wait. The root directory is shared by all agent threads, as by the program's threads.
 *
 * Context: as marked. No lock; one order at a time.
 */
#ifndef PA_PRIVILEGES_H
#define PA_PRIVILEGES_H

#include "base/thread_slot.h"
#include "core/bridge.h"
#include "record/process.h"

PA_BOOT void pa_privileges_boot(struct pa_bridge *bridge, struct pa_thread_slot_table *table);

/* When the first agent thread starts again, with the attributes of its creator: root_private: root
 * is not shared with the program. */
PA_AGENT void pa_privileges_begin(bool root_private);

/* See struct pa_process_ops. */
PA_APP bool pa_privileges_call(const struct pa_process_privilege_call *call);

#endif

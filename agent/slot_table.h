/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slots of the agent's threads (base/thread_slot.h): owns the process's one table.
 *
 * Context: as marked. No lock. When all slots are in use, a thread runs without one and cannot be
 * suspended.
 */
#ifndef PA_SLOT_TABLE_H
#define PA_SLOT_TABLE_H

#include "base/thread_slot.h"
#include "core/bridge.h"

extern struct pa_thread_slot_table pa_slot_table_table PA_HIDDEN;

/* Stores the table in the bridge. */
PA_BOOT void pa_slot_table_boot(struct pa_bridge *bridge);

/* On the agent's first thread, once it has a descriptor table: creates the eventfd that wakes the
 * others from poll. */
PA_AGENT void pa_slot_table_open_wake_fd(bool files_private);

/* The generation of the calling thread, and the number of orders it has carried out, for a thread
 * that it creates. */
PA_APP uint32_t pa_slot_table_generation(void);
PA_APP uint32_t pa_slot_table_followed(void);
PA_AGENT struct pa_thread_slot *pa_slot_table_take(uint32_t generation, uint32_t followed);
/* Before the thread ends: the slot stays taken until the kernel does not know the thread any more,
 * or another thread needs it. */
PA_AGENT void pa_slot_table_leave(void);

/* Wakes all agent threads that sleep on a futex. */
PA_APP void pa_slot_table_wake_all(void);

/* In a forked child: all slots are free. */
PA_BOOT void pa_slot_table_atfork_child(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collector: the only reader of the ring and the only writer of the tables.
 *
 * Each event is copied out of the ring and checked before use; one that does not conform to event.h
 * is skipped and counted.
 *
 * Context: PA_AGENT, one thread. Lock: PA_LOCK_TABLES, held while a batch is handled; see
 * tables_lock.h. When a table is full its owner counts the loss.
 */
#ifndef PA_COLLECTOR_H
#define PA_COLLECTOR_H

#include "../base/base.h"

/*
 * Sets up the tables and pa_core_bridge->atfork. Returns 0 or -errno. Called again in a forked
 * child, where it keeps the tables that atfork.child kept.
 */
PA_AGENT int pa_collector_init(void);

/* Reads events and answers requests of the mailbox. Never returns. */
PA_AGENT void pa_collector_run(void) __attribute__((noreturn));

#endif

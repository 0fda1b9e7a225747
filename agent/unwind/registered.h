/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call frame information of code made at run time, from the tables that the program has registered
 * (record/unwind_tables.h): .eh_frame sections in the program's memory.
 *
 * An index has one row for each function. It is brought up to date when the first pc that needs it
 * comes after new registrations, and keeps no copy of a table: an entry is read when a rule is
 * learnt, and counts if its table was registered before and after the reading.
 *
 * Context: PA_AGENT, the collector thread only, under PA_LOCK_TABLES. Memory: 32 bytes a row.
 * When full (PA_REGISTERED_ROWS, or no memory): further functions have no entry, and are counted.
 */
#ifndef PA_REGISTERED_H
#define PA_REGISTERED_H

#include "../record/counters.h"
#include "../record/unwind_tables.h"
#include "cfi_entry.h"

#define PA_REGISTERED_ROWS (128 * 1024)

/* tables: NULL, there are none. counters: of unwind_tables_*; may be NULL. */
PA_AGENT void pa_registered_init(struct pa_unwind_tables *tables, struct pa_counters *counters);

/* In a forked child: keeps the index, but not one that was being changed. */
PA_BOOT void pa_registered_reset(void);

/* When the stack was recorded that the following calls are for. */
PA_AGENT void pa_registered_event(int64_t time_ns);

/*
 * The entry for ip, in memory of registered.c until the next call. 0, or
 * -ENOENT: no table has it.
 * -EBADMSG: it is malformed.
 * -ESTALE: the stack is older than the table, or the table is gone, and what ip meant with it.
 */
PA_AGENT int pa_registered_find(uintptr_t ip, struct pa_cfi_entry *entry);

/* Registrations so far. */
PA_AGENT uint64_t pa_registered_count(void);

#endif

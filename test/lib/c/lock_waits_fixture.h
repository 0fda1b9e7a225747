/* SPDX-License-Identifier: Apache-2.0 */
/* Waiters without threads, for the tests of agent/record/lock_waits.c. */
#ifndef LOCK_WAITS_FIXTURE_H
#define LOCK_WAITS_FIXTURE_H

#include "agent/record/lock_waits.h"
#include "test/lib/c/record_fixture.h"

/* An empty table; all waits and all contended critical sections are recorded. */
int boot_lock_waits(void **unused);

/* The place of a call in the program. */
struct pa_cursor caller_cursor(void);
uintptr_t caller_frame(void);

void pass_ns(int64_t ns);

/* Ends the wait that the thread began. */
void end_wait(struct pa_thread *thread, enum pa_wait_end how);

#endif

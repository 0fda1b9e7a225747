/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event of a thread creation, which threadcreate profiles count.
 *
 * Context: PA_APP, on the creating thread. When the ring is full it waits once for room; a lost
 * event is counted (lost_create_ring).
 */
#ifndef PA_CREATION_H
#define PA_CREATION_H

#include "thread.h"

/* Records that the calling thread created a thread. caller: the frame that called the hook. errno
 * kept. */
PA_APP void pa_creation_record(struct pa_thread *thread, struct pa_cursor caller);

#endif

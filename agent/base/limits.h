/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the resource limits of this process leave room for the agent.
 *
 * Context: PA_SIGNAL. No memory, no lock.
 */
#ifndef PA_LIMITS_H
#define PA_LIMITS_H

#include "base.h"

/*
 * A lower RLIMIT_AS or RLIMIT_DATA (ulimit -v, -d) is tuned to the program, which needs all of it.
 * An idle agent maps 13 MiB, 11 of them writable; the memory of requests is limited by what is free
 * at that time (symbols/mem_headroom.h).
 */
#define PA_LIMITS_BYTES ((uint64_t)512 << 20)

/* buffer_bytes: the configured ring, at most a sixteenth of a limit. False: the agent could take
 * memory that the program needs. errno kept. */
PA_SIGNAL bool pa_limits_leave_room(uint64_t buffer_bytes);

#endif

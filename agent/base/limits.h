/*
 * Whether the limits of this process leave room for an agent.
 *
 * Context: PA_BOOT. No memory, no lock.
 */
#ifndef PA_LIMITS_H
#define PA_LIMITS_H

#include "base.h"

/*
 * Under a limit of address space (ulimit -v) each of our threads takes from the program what libc
 * reserves for its allocations: 64 MiB, and its stack; 0.8 GiB when all of them are there. A limit
 * below this has been measured for the program, which needs all of it.
 */
#define PA_LIMITS_ADDRESSES ((uint64_t)8 << 30)
/* The same of writable memory (ulimit -d), where what is only reserved does not count. */
#define PA_LIMITS_DATA ((uint64_t)1 << 30)

/* False: the agent would take what the program may need. errno kept. */
PA_BOOT bool pa_limits_leave_room(void);

#endif

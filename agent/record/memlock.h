/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mlockall(2) of the program covers the agent's memory too, which then counts against the program's
 * RLIMIT_MEMLOCK and stays resident. This module unlocks the agent's large memory: mappings
 * (base/own_maps.h), and the unused parts of its threads' stacks. The objects and the used parts
 * stay locked: less than 8 MiB.
 *
 * Not detected: mlockall by syscall() or a raw system call.
 *
 * Context: as marked. No lock. errno kept. Threads that may not call munlock(2) (record/sandbox.h)
 * leave memory locked.
 */
#ifndef PA_MEMLOCK_H
#define PA_MEMLOCK_H

#include "../base/own_maps.h"

PA_BOOT void pa_memlock_boot(void);

/* In a forked child: locks are not inherited (mlockall(2)); libc owns the stacks of the agent's
 * threads. */
PA_BOOT void pa_memlock_atfork_child(void);

/* Around the program's mlockall call with these flags. */
PA_APP void pa_memlock_before(int flags);
PA_APP void pa_memlock_after(void);

/* After munlockall of the program. */
PA_APP void pa_memlock_ended(void);

/*
 * Around the life of an agent thread, whose stack has stack_bytes; leave gets the result of enter,
 * or NULL. After leave libc may reuse the stack for a thread of the program: leave locks it if the
 * stack of a new thread would be locked.
 */
PA_AGENT struct pa_own_map *pa_memlock_enter_thread(size_t stack_bytes);
PA_AGENT void pa_memlock_leave_thread(struct pa_own_map *stack);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latches: locks around a few system calls, for any context, also a signal handler of the program
 * that calls sigaction() or sigaltstack().
 *
 * All signals but those of pa_quiet_fill are blocked while a latch is held: no handler can wait for
 * the code that it interrupted, and the holder cannot be cancelled. A waiter waits at most 100 ms
 * for a holder (it may be stopped, or be an ended vfork child that shares the latch), then proceeds
 * without the latch. Not recursive. Ranks below all locks of lock.h and needs no rank of its own:
 * code under a latch takes no lock.
 */
#ifndef PA_LATCH_H
#define PA_LATCH_H

#include "atomic.h"
#include "base.h"

struct pa_latch {
	PA_ATOMIC(uint32_t) word; /* futex: 0 free, 1 held, 2 held with waiters; acq_rel */
};

/* State that leave takes over from enter. */
struct pa_latch_hold {
	uint64_t mask; /* the thread's signal mask, as the kernel's word */
	bool held;     /* statistics only: leave frees a latch that it does not hold, too */
};

/* errno kept. */
PA_SIGNAL struct pa_latch_hold pa_latch_enter(struct pa_latch *latch);
PA_SIGNAL void pa_latch_leave(struct pa_latch *latch, struct pa_latch_hold hold);

/* In a forked child: the holder does not exist. */
PA_BOOT void pa_latch_reset(struct pa_latch *latch);

#endif

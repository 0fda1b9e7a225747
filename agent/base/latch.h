/*
 * Latches: locks for a few system calls at most, in any context: also in a handler of the program,
 * which may call sigaction() and sigaltstack().
 *
 * All signals are blocked while one is held (but for those of pa_quiet_fill), so no handler waits
 * for what it came in the middle of, and no thread is cancelled with it. A holder that is stopped
 * or was ended (a vfork child shares it) is waited for 100 ms: after that the caller goes on
 * without it. Not recursive. Below all of lock.h, whose ranks it does not need: what is done under
 * it takes no other lock.
 */
#ifndef PA_LATCH_H
#define PA_LATCH_H

#include "atomic.h"
#include "base.h"

struct pa_latch {
	PA_ATOMIC(uint32_t) word; /* futex: 0 free, 1 held, 2 held and waited for; acq_rel */
};

/* What leave needs of enter. */
struct pa_latch_hold {
	uint64_t mask; /* the thread's, as the kernel has it */
	bool held;     /* statistics only: leave frees the lock of a holder that is gone */
};

/* errno kept. */
PA_SIGNAL struct pa_latch_hold pa_latch_enter(struct pa_latch *latch);
PA_SIGNAL void pa_latch_leave(struct pa_latch *latch, struct pa_latch_hold hold);

/* In a forked child: the holder is gone. */
PA_BOOT void pa_latch_reset(struct pa_latch *latch);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the hooks of signals: masks from the program's point of view.
 *
 * Context: as marked. No lock.
 */
#ifndef PA_HOOKS_MASK_H
#define PA_HOOKS_MASK_H

#include <signal.h>

#include "../agent/record/process.h"
#include "../agent/record/requeue.h"

/* hook_signal.c: true after boot, on a thread of the program. */
PA_SIGNAL bool pa_signal_mask_is_active(void);

/* hook_signal.c: set without the agent's signal, in copy, if it is there because all signals are;
 * else set. */
PA_APP const sigset_t *pa_signal_mask_strip(const sigset_t *set, sigset_t *copy);

/* hook_signal.c: in state SHARED, blocks the signal where the calling thread relies on its being
 * blocked. errno kept. */
PA_APP void pa_signal_mask_settle(void);

/* hook_sigwait.c: adds the signal to signalfds whose sets were stripped of it. errno kept. */
PA_APP void pa_signal_mask_widen_signalfds(void);

/* hook_send.c: true when syscall() with these arguments sends the agent's signal. */
PA_APP bool pa_send_is_watched(long number, long a, long b, long c);

struct pa_send {
	struct pa_latch_hold hold;
	bool held;
};

/* hook_send.c: around a call that sends the agent's signal. to_thread: with a value, to that thread
 * (tid) and not to the process; or 0. errno kept. */
PA_APP struct pa_send pa_send_begin(int to_thread);
PA_APP void pa_send_end(struct pa_send send);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clock for the timeouts of what waits for the render thread. While jobs are queued it runs as fast
 * as the render thread gets on: by its CPU time, and by the time in which a client kept it waiting.
 * So requests are refused because others are in front of them, not because a busy machine leaves
 * this process no processor. It runs at a third of the speed at least: nothing waits for longer
 * than three times its timeout.
 *
 * Context: PA_AGENT or as marked, any thread. Lock: PA_LOCK_QUEUE_CLOCK, its own.
 */
#ifndef PA_QUEUE_CLOCK_H
#define PA_QUEUE_CLOCK_H

#include "../base/base.h"
#include "../base/wake_word.h"

#define PA_QUEUE_CLOCK_SLOWEST 3

/* The calling thread is the render thread from now on. */
PA_AGENT void pa_queue_clock_attend(void);
/* No thread is, until the next one. */
PA_AGENT void pa_queue_clock_leave(void);

/* Jobs are queued, or none is any more. */
PA_API void pa_queue_clock_busy(bool busy);

/* The render thread waits as by pa_wake_word_wait, for_client: this is no lack of a processor.
 * Returns how long it took. */
PA_AGENT int64_t pa_queue_clock_wait(struct pa_wake_word *word, uint32_t seen, int64_t ns,
	bool for_client);

/* ns since any time; never goes back, nor runs faster than CLOCK_MONOTONIC. */
PA_API int64_t pa_queue_clock_ns(void);

/* In a forked child: nothing is queued, there is no render thread. */
PA_BOOT void pa_queue_clock_reset(void);

#endif

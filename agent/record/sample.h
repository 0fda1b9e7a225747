/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records one event with its stack: ring slot -> header -> pcs, walked into the slot -> published.
 *
 * Context: PA_SIGNAL; < 1 KiB of stack; no lock, no system call when all rules are cached. When the
 * walk reaches a pc without a cached rule, the record gets the registers and a copy of the stack,
 * and the collector completes the stack (deferred unwind).
 * Full: see the functions; the caller counts the lost event.
 */
#ifndef PA_SAMPLE_H
#define PA_SAMPLE_H

#include "event.h"
#include "thread.h"

/*
 * head: kind, tid, time_ns (read by the caller before this call), values, object and name are set;
 * depth (set: the most frames to record; 0: as in the settings) and flags are filled in here. regs:
 * the complete interrupted registers when head->flags has PA_EVENT_LEAF, else NULL. False: the ring
 * is full, nothing was recorded. With can_retry the result is also false when an unknown stack has
 * no room for its copy; without, such a stack is recorded as broken.
 */
PA_SIGNAL bool pa_sample_stack(const struct pa_event *head, const struct pa_thread *thread,
	struct pa_cursor from, const struct pa_regs *regs, bool can_retry);

/* Records an event without a stack, or with count given pcs. False: the ring is full. */
PA_SIGNAL bool pa_sample_plain(const struct pa_event *head, const uintptr_t *pcs, uint32_t count);

/*
 * For events that must not get lost, after one of the above returned false: waits a bounded time
 * for the collector. True: try once more. False: a recent wait was unsuccessful, and the program
 * must not stall again. Not in a signal handler.
 */
PA_APP bool pa_sample_wait_room(void);

/*
 * Bytes until the next heap sample: exponential with the given mean, so that samples are a Poisson
 * process over allocated bytes. rate_bytes <= 1: 0, every allocation is sampled.
 */
PA_SIGNAL uint64_t pa_sample_interval(struct pa_thread *thread, uint64_t rate_bytes);

#endif

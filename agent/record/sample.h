/*
 * One event with its stack: slot of the ring -> header -> pcs walked straight into it -> published.
 *
 * Context: PA_SIGNAL; < 1 KiB of stack; no lock, no system call on a warm path. When the walk meets
 * a pc that nobody has met before, the record gets the registers and a copy of the stack, and the
 * collector finishes it.
 */
#ifndef PA_SAMPLE_H
#define PA_SAMPLE_H

#include "event.h"
#include "thread.h"

/*
 * head: kind, tid, time_ns (taken by the caller before this call), values, object and name are set;
 * depth and flags are filled in here. regs: the full interrupted registers when head->flags has
 * PA_EVENT_LEAF, else NULL. False: the ring is full, nothing was recorded. With can_retry that is
 * also the answer when an unknown stack has no room for its copy; without, it is recorded as
 * broken.
 */
PA_SIGNAL bool pa_sample_stack(const struct pa_event *head, const struct pa_thread *thread,
	struct pa_cursor from, const struct pa_regs *regs, bool can_retry);

/* An event without a stack, or with count pcs that are given. False: the ring is full. */
PA_SIGNAL bool pa_sample_plain(const struct pa_event *head, const uintptr_t *pcs, uint32_t count);

/*
 * For events that must not get lost, when one of the above said false: waits a bounded time for the
 * collector. True: try once more. False: it waited in vain a moment ago, and the program shall not
 * stand still for us. Not in a signal handler.
 */
PA_APP bool pa_sample_wait_room(void);

/* What is mapped for recording. */
PA_AGENT size_t pa_sample_memory_bytes(void);

/*
 * Bytes until the next heap sample: exponential with the given mean, as a Poisson process over all
 * allocated bytes wants it. rate 1 or less: 0, every allocation is sampled.
 */
PA_SIGNAL uint64_t pa_sample_interval(struct pa_thread *thread, uint64_t rate_bytes);

#endif

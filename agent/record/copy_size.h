/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many bytes of a stack a deferred event copies: enough for the frames that the collector has
 * to step through, which is not known to the thread that makes the copy. The collector reports what
 * each copy would have needed, and the sizes follow: up at once, down after many smaller stacks.
 *
 * Context: as marked. Part of struct pa_record, which both objects reach. No lock.
 */
#ifndef PA_COPY_SIZE_H
#define PA_COPY_SIZE_H

#include "../base/atomic.h"
#include "../base/base.h"

/* Deep interpreters need 25 KiB from a hook to main, once per new path. */
#define PA_COPY_SIZE_OWN_BYTES ((uint32_t)32 << 10)

/* Of a stack that is not the thread's own: coroutine stacks are shallow, and other memory may lie
 * above them. */
#define PA_COPY_SIZE_FOREIGN_BYTES ((uint32_t)8 << 10)

#define PA_COPY_SIZE_MAX_BYTES ((uint32_t)256 << 10)

struct pa_copy_size {
	/* Above the least size. Written by the collector, read by any thread; relaxed: hints. */
	PA_ATOMIC(uint32_t) more_bytes;
	uint32_t smaller; /* stacks in a row that half the size was enough for; the collector's */
};

struct pa_copy_size_pair {
	struct pa_copy_size own, foreign;
};

/* Bytes to copy, at most PA_COPY_SIZE_MAX_BYTES. own: of the thread's own stack. */
PA_SIGNAL uint32_t pa_copy_size_bytes(const struct pa_copy_size_pair *sizes, bool own);

/* The collector has read needed_bytes of a copy, or would have, had the copy been longer. */
PA_AGENT void pa_copy_size_learn(struct pa_copy_size_pair *sizes, bool own, uint64_t needed_bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of record/ share: a recording side of their own, as boot makes it.
 */
#ifndef PA_TEST_RECORD_FIXTURE_H
#define PA_TEST_RECORD_FIXTURE_H

#include <string.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/record/event.h"
#include "agent/record/switches.h"
#include "agent/record/wiped_pages.h"
#include "agent/record/thread.h"

/* A ring of ring_bytes, an empty cache, everything on but CPU; counters at 0. */
static inline void fixture_boot(size_t ring_bytes, uint64_t heap_rate_bytes)
{
	memset(&pa_record, 0, sizeof(pa_record));
	pa_record.ring = pa_ring_create(ring_bytes);
	pa_record.frames = pa_frame_cache_create();
	pa_record.heap_rate_bytes = heap_rate_bytes;
	pa_record.stack_depth = 128;
	pa_record.signal = SIGRTMAX - 3;
	pa_record.pid = getpid();
	/* The main thread's bounds, wide enough for any test. */
	pa_record.main_stack_hi = ((uintptr_t)__builtin_frame_address(0) | 0xfff) + 1;
	pa_record.main_stack_lo = pa_record.main_stack_hi - (1 << 20);
	memset(&pa_thread_self, 0, sizeof(pa_thread_self));
	if (!pa_load_relaxed(&pa_switches->booted))
		pa_wiped_pages_boot();
	pa_store_relaxed(&pa_switches->heap, 1);
	pa_store_relaxed(&pa_switches->cpu, 0);
	pa_store_release(&pa_switches->booted, 1);
}

/* The next event of the ring, copied out with its pcs; false when there is none. */
struct fixture_event {
	struct pa_event head;
	uintptr_t pcs[512];
	struct pa_deferred deferred;
	char stack[64 << 10];
};

static inline bool fixture_next(struct fixture_event *out)
{
	size_t bytes;
	const struct pa_event *event = pa_ring_read(pa_record.ring, &bytes);
	if (!event)
		return false;
	out->head = *event;
	memcpy(out->pcs, pa_event_pcs(event), event->depth * sizeof(uintptr_t));
	const struct pa_deferred *deferred = pa_event_deferred(event);
	if (deferred) {
		out->deferred = *deferred;
		memcpy(out->stack, deferred + 1, deferred->stack_bytes);
	}
	pa_ring_release(pa_record.ring);
	return true;
}

static inline uint64_t fixture_count(PA_ATOMIC(uint64_t) *counter)
{
	return pa_load_relaxed(counter);
}

#endif

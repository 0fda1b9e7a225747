/* SPDX-License-Identifier: Apache-2.0 */
#include "stack_bounds.h"

#include "../arch/arch.h"
#include "../base/assert.h"
#include "../base/atomic.h"
#include "peek.h"

#include "../base/banned.h"

/* Pages verified per call, at most. */
#define EXTEND_PAGES 1024

void pa_stack_bounds_set(struct pa_thread *thread, uintptr_t least, uintptr_t known, uintptr_t hi)
{
	PA_ASSERT(known <= hi);
	thread->stack_hi = hi & ~(uintptr_t)7;
	thread->stack_lo = known & ~(PA_PAGE_BYTES - 1);
	thread->stack_least = PA_ALIGN_UP(least, PA_PAGE_BYTES);
	/* Both are in the same page: nothing remains to be verified. */
	if (thread->stack_lo <= thread->stack_least)
		thread->stack_lo = thread->stack_least = known;
	PA_ASSERT(thread->stack_least <= thread->stack_lo);
}

void pa_stack_bounds_extend(uintptr_t sp)
{
	struct pa_thread *self = &pa_thread_self;
	PA_ASSERT(self->stack_least <= self->stack_lo);
	uintptr_t lo = sp & ~(PA_PAGE_BYTES - 1);
	for (int i = 0; i < EXTEND_PAGES / PA_PEEK_PAGES && lo < self->stack_lo; i++) {
		uintptr_t hi = self->stack_lo, step = PA_PEEK_PAGES * PA_PAGE_BYTES;
		uintptr_t from = hi - lo > step ? hi - step : lo;
		if (!pa_peek_is_readable(from, hi))
			return;
		self->stack_lo = from;
	}
}

void pa_stack_bounds_cut(uintptr_t lo, uintptr_t hi)
{
	struct pa_thread *self = &pa_thread_self;
	if (hi <= self->stack_least || lo >= self->stack_hi || hi <= lo)
		return;
	uintptr_t end = self->stack_hi;
	if (hi < end && PA_ALIGN_UP(hi, PA_PAGE_BYTES) < end)
		end = PA_ALIGN_UP(hi, PA_PAGE_BYTES);
	/* A signal handler in between sees the old or the new value. */
	if (self->stack_lo < end)
		self->stack_lo = end;
	self->stack_least = end;
	PA_ASSERT(self->stack_least <= self->stack_lo && self->stack_lo <= self->stack_hi);
}

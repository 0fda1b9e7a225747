/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include "../base/atomic.h"

#include "../base/banned.h"

PA_ATOMIC(uint32_t) pa_sandbox_all;
PA_ATOMIC(uint32_t) pa_sandbox_calls;
PA_ATOMIC(uint32_t) pa_sandbox_unproven;

bool pa_sandbox_may_wake(void)
{
	return pa_sandbox_may(&pa_thread_self, PA_CALLS_WAKE);
}

bool pa_sandbox_begin_wake(void)
{
	return pa_sandbox_begin(&pa_thread_self, PA_CALLS_WAKE);
}

void pa_sandbox_end(void)
{
	pa_sub_acq_rel(&pa_sandbox_calls, 1);
}

void pa_sandbox_atfork_child(void)
{
	pa_reset(&pa_sandbox_calls, 0);
}

void pa_sandbox_inherit(struct pa_thread *self, uint32_t denied)
{
	pa_store_relaxed(&self->denied, denied);
}

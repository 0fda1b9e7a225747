/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch.h"

#include <errno.h>

#include "registry.h"
#include "sandbox.h"
#include "seccomp.h"

#include "../base/banned.h"

_Static_assert(PA_DISPATCH_CALLS <= UINT8_MAX, "pa_thread.dispatched has the bits");

uint32_t pa_dispatch_inherited(const struct pa_thread *self)
{
	uint32_t denied = pa_load_relaxed(&self->denied);
	PA_ASSERT((denied & self->dispatched) == self->dispatched);
	return denied & ~(uint32_t)self->dispatched;
}

void pa_dispatch_begin(struct pa_thread *self)
{
	int saved_errno = errno;
	if (!self->registered && pa_sandbox_may(self, PA_CALLS_IDENTITY))
		pa_registry_add(self);
	uint32_t denied = pa_load_relaxed(&self->denied);
	self->dispatched |= (uint8_t)(PA_DISPATCH_CALLS & ~denied);
	pa_seccomp_confine(self, denied | PA_DISPATCH_CALLS);
	PA_ASSERT(!pa_sandbox_may(self, PA_CALLS_RETURN));
	errno = saved_errno;
}

void pa_dispatch_end(struct pa_thread *self)
{
	pa_store_relaxed(&self->denied, pa_dispatch_inherited(self));
	self->dispatched = 0;
}

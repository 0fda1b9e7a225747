/* SPDX-License-Identifier: Apache-2.0 */
#include "passing_holders.h"

#include "../base/assert.h"
#include "../base/atomic.h"

static PA_ATOMIC(uint32_t) holders; /* acq_rel: what a holder read is read before it is freed */

void pa_passing_holders_hold(void)
{
	pa_add_acq_rel(&holders, 1);
}

void pa_passing_holders_release(void)
{
	PA_ASSERT(pa_load_relaxed(&holders));
	pa_add_acq_rel(&holders, -1u);
}

bool pa_passing_holders_exist(void)
{
	return pa_load_acquire(&holders) != 0;
}

void pa_passing_holders_atfork_child(void)
{
	pa_store_relaxed(&holders, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "flight_lease.h"

#include "../base/atomic.h"

static struct {
	PA_ATOMIC(uint32_t) taken;     /* acq_rel by CAS in acquire, release in release */
	PA_ATOMIC(uint32_t) contended; /* release in acquire, acquire in is_contended */
	PA_ATOMIC(int64_t) since_ns;   /* start of the lease; relaxed, read by its owner */
} state;

bool pa_flight_lease_acquire(int64_t now_ns)
{
	uint32_t none = 0;

	if (!pa_cas_acq_rel(&state.taken, &none, 1)) {
		pa_store_release(&state.contended, 1);
		return false;
	}
	/* A refusal between the CAS and this store is lost; that client's next attempt sets it
	 * again. */
	pa_store_release(&state.contended, 0);
	pa_store_relaxed(&state.since_ns, now_ns);
	return true;
}

void pa_flight_lease_release(void)
{
	pa_store_release(&state.contended, 0);
	pa_store_release(&state.taken, 0);
}

bool pa_flight_lease_is_contended(void)
{
	return pa_load_acquire(&state.taken) && pa_load_acquire(&state.contended);
}

bool pa_flight_lease_is_expired(int64_t now_ns)
{
	return pa_flight_lease_is_contended() &&
		now_ns - pa_load_relaxed(&state.since_ns) >= PA_FLIGHT_LEASE_MAX_NS;
}

void pa_flight_lease_reset(void)
{
	pa_flight_lease_release();
}

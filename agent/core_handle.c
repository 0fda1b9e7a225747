/* SPDX-License-Identifier: Apache-2.0 */
#include "core_handle.h"

#include "base/clock.h"
#include "base/lock.h"
#include "record/switches.h"
#include "record/sandbox.h"
#include "wait_recording.h"

static struct {
	const struct pa_bridge *bridge;
	PA_ATOMIC(uint32_t) ready; /* bridge->api can be called; futex; release in _ready */
	PA_ATOMIC(uint32_t) over;  /* the core will not be ready again; release in _over */
} state;

void pa_core_handle_boot(const struct pa_bridge *bridge)
{
	state.bridge = bridge;
}

bool pa_core_handle_is_ready(void)
{
	return pa_load_acquire(&state.ready);
}

void pa_core_handle_ready(void)
{
	pa_store_release(&state.ready, 1);
	pa_futex_wake(&state.ready, INT32_MAX);
}

void pa_core_handle_suspended(void)
{
	pa_store_release(&state.ready, 0);
}

void pa_core_handle_over(void)
{
	pa_store_release(&state.over, 1);
	pa_store_relaxed(&pa_switches->heap, 0);
	pa_wait_recording_all_off();
	pa_ring_reader(pa_record.ring, false);
}

const struct pa_bridge *pa_core_handle_await(int64_t timeout_ns)
{
	int64_t end_ns = pa_clock_mono_ns() + timeout_ns;
	if (!pa_sandbox_may_wake())
		return NULL;
	/* Ends: at end_ns. */
	while (!pa_load_acquire(&state.ready)) {
		int64_t left_ns = end_ns - pa_clock_mono_ns();
		if (left_ns <= 0 || pa_load_acquire(&state.over) || !pa_sandbox_begin_wake())
			return NULL;
		pa_ring_kick(pa_record.ring);
		pa_futex_wait(&state.ready, 0, left_ns);
		pa_sandbox_end();
	}
	return state.bridge;
}

void pa_core_handle_atfork_child(bool wanted)
{
	pa_reset(&state.ready, 0);
	pa_reset(&state.over, !wanted);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tables_lock.h"

#include "../base/lock.h"

/* Time for which the collector yields to waiting threads, and the number of attempts. */
#define YIELD_NS (1 * PA_NS_PER_MS)
#define YIELD_TURNS 8

static struct {
	struct pa_lock lock;
	PA_ATOMIC(uint32_t) wanted; /* threads that wait for the lock; acq_rel, futex of yielding */
	PA_ATOMIC(uint32_t) urgent; /* those of them with a timeout: threads that fork; relaxed */
} state;

struct pa_tables_events pa_tables_events;

static void want_lock(void)
{
	pa_add_acq_rel(&state.wanted, 1);
}

static void unwant_lock(void)
{
	pa_add_acq_rel(&state.wanted, -1u);
	pa_futex_wake(&state.wanted, 1);
}

void pa_tables_lock_init(void)
{
	state.lock.rank = PA_LOCK_TABLES;
}

void pa_tables_lock(void)
{
	want_lock();
	pa_lock(&state.lock);
	unwant_lock();
}

void pa_tables_unlock(void)
{
	pa_unlock(&state.lock);
}

bool pa_tables_lock_timed(int64_t timeout_ns)
{
	pa_add_relaxed(&state.urgent, 1);
	want_lock();
	bool held = pa_lock_timed(&state.lock, timeout_ns);
	unwant_lock();
	pa_add_relaxed(&state.urgent, -1u);
	return held;
}

void pa_tables_lock_yielding(void)
{
	uint32_t wanted;
	for (int i = 0; i < YIELD_TURNS && (wanted = pa_load_acquire(&state.wanted)); i++)
		pa_futex_wait(&state.wanted, wanted, YIELD_NS);
	pa_lock(&state.lock);
}

bool pa_tables_lock_is_urgent(void)
{
	return pa_load_relaxed(&state.urgent) != 0;
}

void pa_tables_lock_atfork_child(void)
{
	pa_lock_reset(&state.lock);
	pa_store_relaxed(&state.wanted, 0);
	pa_store_relaxed(&state.urgent, 0);
}

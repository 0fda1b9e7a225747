/* SPDX-License-Identifier: Apache-2.0 */
#include "recording.h"

#include "../base/lock.h"
#include "../core/core.h"

/* Watches of one kind; written under the lock, read without it, relaxed. */
struct watchers {
	PA_ATOMIC(uint32_t) exact, sampled;
};

static struct {
	struct pa_lock lock;
	struct watchers watchers[PA_RECORDING_COUNT];
} state = { .lock = PA_LOCK_INIT(PA_LOCK_RATES) };

/* A rate in the settings has precedence; otherwise the most exact watch decides. */
static uint64_t effective_rate(const PA_ATOMIC(uint64_t) *setting, const struct watchers *watchers,
	uint64_t sampled)
{
	uint64_t set = pa_load_relaxed(setting);
	if (set)
		return set;
	if (pa_load_relaxed(&watchers->exact))
		return 1;
	return pa_load_relaxed(&watchers->sampled) ? sampled : 0;
}

uint64_t pa_recording_block_rate_ns(void)
{
	return effective_rate(&pa_core_bridge->settings->block_rate_ns,
		&state.watchers[PA_RECORDING_BLOCK], PA_RECORDING_SAMPLED_BLOCK_NS);
}

uint64_t pa_recording_mutex_fraction(void)
{
	return effective_rate(&pa_core_bridge->settings->mutex_fraction,
		&state.watchers[PA_RECORDING_MUTEX], PA_RECORDING_SAMPLED_FRACTION);
}

static void apply_rates(void)
{
	pa_core_bridge->contend_rates(pa_recording_block_rate_ns(), pa_recording_mutex_fraction());
}

void pa_recording_watch(enum pa_recording_what what, bool sampled, bool on)
{
	struct watchers *watchers = &state.watchers[what];
	PA_ATOMIC(uint32_t) *watches = sampled ? &watchers->sampled : &watchers->exact;
	pa_lock(&state.lock);
	uint64_t block = pa_recording_block_rate_ns();
	uint64_t mutex = pa_recording_mutex_fraction();
	if (on)
		pa_add_relaxed(watches, 1);
	else if (pa_load_relaxed(watches))
		pa_sub_relaxed(watches, 1);
	if (pa_recording_block_rate_ns() != block || pa_recording_mutex_fraction() != mutex)
		apply_rates();
	pa_unlock(&state.lock);
}

void pa_recording_rates_changed(void)
{
	pa_lock(&state.lock);
	apply_rates();
	pa_unlock(&state.lock);
}

void pa_recording_trace(bool on)
{
	pa_lock(&state.lock);
	pa_core_bridge->trace_switch(on);
	pa_unlock(&state.lock);
}

static void forget_watchers(void)
{
	for (size_t i = 0; i < PA_RECORDING_COUNT; i++) {
		pa_store_relaxed(&state.watchers[i].exact, 0);
		pa_store_relaxed(&state.watchers[i].sampled, 0);
	}
}

void pa_recording_suspended(void)
{
	forget_watchers();
	apply_rates();
}

void pa_recording_atfork_child(void)
{
	pa_lock_reset(&state.lock);
	forget_watchers();
}

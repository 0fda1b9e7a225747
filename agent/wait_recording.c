/* SPDX-License-Identifier: Apache-2.0 */
#include "wait_recording.h"

#include "record/lock_waits.h"
#include "record/process.h"
#include "record/trace_events.h"

/* The wait hooks record when either of the two is on. */
static void switch_hooks(void)
{
	pa_hooks_watch(pa_lock_waits_is_on() || pa_trace_events_is_on());
}

void pa_wait_recording_contention(uint64_t block_rate_ns, uint64_t mutex_fraction)
{
	pa_lock_waits_rates(block_rate_ns, mutex_fraction);
	switch_hooks();
}

void pa_wait_recording_trace(bool on)
{
	pa_trace_events_switch(on);
	switch_hooks();
}

void pa_wait_recording_all_off(void)
{
	pa_trace_events_switch(false);
	pa_wait_recording_contention(0, 0);
}

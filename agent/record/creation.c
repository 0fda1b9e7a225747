/* SPDX-License-Identifier: Apache-2.0 */
#include "creation.h"

#include <errno.h>

#include "../base/clock.h"
#include "switches.h"
#include "registry.h"
#include "sample.h"

#include "../base/banned.h"

void pa_creation_record(struct pa_thread *thread, struct pa_cursor caller)
{
	if (thread->depth || !pa_load_relaxed(&pa_switches->booted))
		return;
	int saved_errno = errno;
	struct pa_event event = {
		.kind = PA_EVENT_CREATE,
		.tid = pa_registry_tid(thread),
		.time_ns = pa_clock_mono_ns(),
	};
	thread->depth++;
	if (pa_sample_stack(&event, thread, caller, NULL, true) ||
		(pa_sample_wait_room() && pa_sample_stack(&event, thread, caller, NULL, false)))
		PA_COUNT_EVENT(create_events);
	else
		PA_COUNT_EVENT(lost_create_ring);
	thread->depth--;
	errno = saved_errno;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "restart.h"

#include "allocator_hooks.h"
#include "mailbox.h"
#include "profile_list.h"
#include "recording.h"
#include "tables_lock.h"
#include "trace_queue.h"

/* The collector was suspended between two batches. */
void pa_restart_settle(void)
{
	pa_tables_lock();
	pa_mailbox_forget_agents();
	for (size_t i = 0; pa_profile_list[i]; i++)
		if (pa_profile_list[i]->suspended)
			pa_profile_list[i]->suspended(pa_profile_list[i]);
	pa_recording_suspended();
	pa_allocator_hooks_suspended();
	pa_tables_unlock();
	pa_trace_queue_suspended();
}

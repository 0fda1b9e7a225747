/* SPDX-License-Identifier: Apache-2.0 */
#include "thread_state.h"

#include "../base/banned.h"

struct pa_thread_state pa_thread_state_of(const struct pa_thread *thread, uintptr_t sp)
{
	const struct pa_wait *wait = &thread->wait;
	bool waits = wait->kind && sp < wait->frame;
	return (struct pa_thread_state){
		.wait = waits ? wait->kind : 0,
		.object = waits ? wait->object : 0,
		.since_ns = waits ? wait->start_ns : 0,
		.creator_pc = thread->creator_pc,
		.creator_tid = thread->creator_tid,
	};
}

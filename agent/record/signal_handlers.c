/* SPDX-License-Identifier: Apache-2.0 */
#include "signal_handlers.h"

#include "blocked_threads.h"
#include "shared_call.h"
#include "thread_dump.h"
#include "tick.h"

#include "../base/banned.h"

static PA_AGENT bool learn_shared_calls(void)
{
	return pa_shared_call_learn(pa_shared_call_of_libc);
}

static PA_SIGNAL bool answer_queued(const siginfo_t *info, const ucontext_t *context)
{
	return pa_shared_call_answer(info, context) || pa_thread_dump_answer(info, context);
}

const struct pa_signal_callbacks pa_signal_handlers = {
	.on_timer = pa_tick_answer,
	.on_queued = answer_queued,
	.learn = learn_shared_calls,
	.atfork_child = pa_shared_call_atfork_child,
	.before_return = pa_blocked_threads_hide_interruption,
	.passed_mask = pa_blocked_threads_passed_mask,
};

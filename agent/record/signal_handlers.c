/* SPDX-License-Identifier: Apache-2.0 */
#include "signal_handlers.h"

#include "blocked_threads.h"
#include "thread_dump.h"
#include "tick.h"

#include "../base/banned.h"

const struct pa_signal_callbacks pa_signal_handlers = {
	.on_timer = pa_tick_answer,
	.on_queued = pa_thread_dump_answer,
	.before_return = pa_blocked_threads_hide_interruption,
	.passed_mask = pa_blocked_threads_passed_mask,
};

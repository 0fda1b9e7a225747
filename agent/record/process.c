/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include "../base/banned.h"

/* Before boot, and where the agent is inert, there are no agent threads. */

static void no_operation(void)
{
}

static void none_held(struct pa_process_hold *hold)
{
	*hold = (struct pa_process_hold){ 0 };
}

static void none_copied(struct pa_process_hold *hold, bool waits)
{
	(void)waits;
	*hold = (struct pa_process_hold){ 0 };
}

static void none_released(const struct pa_process_hold *hold)
{
	(void)hold;
}

static bool none_suspended(int64_t timeout_ns, bool for_good)
{
	(void)timeout_ns;
	(void)for_good;
	return false;
}

static bool none_followed(const struct pa_process_privilege_call *call)
{
	(void)call;
	return false;
}

static bool unknown_answer(void)
{
	return false;
}

static void none_proven(bool by_thread)
{
	(void)by_thread;
}

static const struct pa_process_ops none_ops = {
	.forked = no_operation,
	.hold_fork = none_held,
	.release_signals = none_released,
	.hold = none_copied,
	.release = none_released,
	.copied = none_released,
	.suspend = none_suspended,
	.resume = no_operation,
	.stay_suspended = no_operation,
	.follow = none_followed,
	.is_alone = unknown_answer,
	.proven = none_proven,
	.exits = no_operation,
};

PA_ATOMIC(uint32_t) pa_process_has_fork_handlers;
const struct pa_process_ops *pa_process = &none_ops;

/* SPDX-License-Identifier: Apache-2.0 */
#include "child_core.h"

#include "fork_guard.h"

static struct {
	struct pa_bridge *bridge;
	struct pa_lock *loader;
} state;

void pa_child_core_boot(struct pa_bridge *bridge, struct pa_lock *loader)
{
	state.bridge = bridge;
	state.loader = loader;
}

bool pa_child_core_prepare(int64_t timeout_ns)
{
	const struct pa_bridge *bridge = state.bridge;
	return !pa_fork_guard_is_bare_copy() && bridge->atfork.prepare && !bridge->core_unsettled &&
		bridge->atfork.prepare(timeout_ns);
}

void pa_child_core_atfork_child(bool loader_held, bool tables_held)
{
	struct pa_bridge *bridge = state.bridge;
	/* The parent may have been settling when it was forked: then the state of the tables is
	 * unknown. */
	if (!bridge->core_unsettled || !loader_held)
		bridge->core_locked = tables_held;
	bridge->core_unsettled = bridge->atfork.child != NULL;
	bridge->settle = bridge->jailed = NULL;
	pa_counters_copy(&bridge->inherited, bridge->counters);
}

void pa_child_core_settle(void)
{
	struct pa_bridge *bridge = state.bridge;
	pa_lock(state.loader);
	if (bridge->core_unsettled)
		bridge->atfork.child(bridge->core_locked);
	bridge->core_unsettled = false;
	pa_unlock(state.loader);
}
